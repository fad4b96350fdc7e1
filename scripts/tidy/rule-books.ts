import { fileAt, type Tree } from './tree.ts'

export const PROTOCOL = 'docs/PROTOCOL.md'
const LEVELDB = 'docs/internals/leveldb.md'
const CONTROL_LOG = 'docs/internals/control-log.md'
const NBD_CHECKLIST = /^test\/nbd\/checklist\//

/** A rule as it is cited: `A2.7`, `amendment 5`, `decision 7`, `pitfall 25`, `nbd 12`. Words in lower case, letters in upper. */
export type RuleName = string

/** One rule of the protocol. */
export interface ProtocolRule {
  readonly name: RuleName
  /** A few words that say what it is about. */
  readonly title: string
  /** Amendments that became this rule: citations of them mean it too. */
  readonly aliases: readonly RuleName[]
}

/** `### A2.7 Title (amendment 18)`, `- **A2.8-4** _Title_ (amendment 18). Text`, `| **A3-7** | text |`, `- **Finding 2** Text`. */
const ANCHOR =
  /^(#+ |[-*] \*\*|\| \*\*)((?:Leveldb )?[Ff]inding \d+|A[1-9]\d*(?:\.\d+)?(?:-\d+)?|CTL-\d+|S-\d+)\b(?:\*\*)?(.*)$/gm

/** Rules in the order in which a book has them. */
export function protocolRules(book: string): ProtocolRule[] {
  return [...book.matchAll(ANCHOR)].map(([, mark = '', name = '', rest = '']) => {
    const [, emphasized, aliases = ''] = /^ _([^_]+)_(?: \(([^)]*)\))?/.exec(rest) ?? []
    const [, heading = '', headingAliases = ''] = mark.startsWith('#')
      ? (/^ ?([^(]*?)(?: \((amendments? [^)]*)\))?$/.exec(rest) ?? [])
      : []
    return emphasized === undefined
      ? { name: canonical(name), title: titleOf(heading || rest), aliases: oldNames(headingAliases) }
      : { name: canonical(name), title: emphasized.replace(/\.$/, ''), aliases: oldNames(aliases) }
  })
}

/** The beginning of a rule that has no title. */
function titleOf(text: string): string {
  const words = text.replace(/^[\s|]+|[\s|]+$/g, '')
  return words.split(/(?<=[a-z)])[.:;](?: |$)/)[0] ?? words
}

/** Every name that a citation may have. */
export function ruleNames(tree: Tree): Set<RuleName> {
  const names = new Set<RuleName>()
  for (const book of [PROTOCOL, LEVELDB]) {
    for (const { name, aliases } of protocolRules(fileAt(tree, book)?.text ?? '')) {
      names.add(name)
      for (const alias of aliases) names.add(alias)
    }
  }
  for (const [, numbers = ''] of (fileAt(tree, CONTROL_LOG)?.text ?? '').matchAll(/^\| ([\d, ]+?) +\|/gm)) {
    for (const number of numbers.match(/\d+/g) ?? []) names.add(`pitfall ${number}`)
  }
  for (const { path, text } of tree.files) {
    const [, decision] = /^docs\/decisions\/0*(\d+)-/.exec(path) ?? []
    if (decision !== undefined) names.add(`decision ${decision}`)
    if (!NBD_CHECKLIST.test(path)) continue
    for (const [, line] of text.matchAll(/\bline: (\d+),/g)) names.add(`nbd ${line}`)
  }
  return names
}

/** A space, or the end of a line of a comment. */
const GAP = String.raw`(?: |\s*\n\s*(?:\*|//)?\s*)`
const NUMBERS = String.raw`\d+(?:(?:,${GAP}(?:and${GAP})?|${GAP}and${GAP}|${GAP}to${GAP})\d+)*`
const WORDS = `(?:(?:amendment|(?:leveldb )?finding|decision|pitfall)s?|nbd)`
/** How rules are cited: amendment 5, amendments 2 and 3, A2.7, A2.8-4, CTL-5, S-3, A3-7, finding 9, decisions 7 and 8, nbd 12. */
const CITATIONS = new RegExp(
  String.raw`\b(?:${WORDS}${GAP}${NUMBERS}(?!\.\d)|A2\.\d+(?:-\d+)?|A3-\d+|CTL-\d+|S-\d+)\b`,
  'gi',
)

/** Every rule that a text cites, with where it does. */
export function citationsIn(text: string): { readonly rule: RuleName; readonly index: number }[] {
  return [...text.matchAll(CITATIONS)].flatMap((match) =>
    citedRules(match[0].replace(new RegExp(GAP, 'g'), ' ')).map((rule) => ({ rule, index: match.index })),
  )
}

/** `amendments 7 and 33, with A2.0-3` are two names, and a rule that is named elsewhere. */
function oldNames(list: string): RuleName[] {
  return citationsIn(list)
    .map(({ rule }) => rule)
    .filter((rule) => rule.startsWith('amendment '))
}

/** `amendments 2 and 3` are two rules. */
export function citedRules(citation: string): RuleName[] {
  const [, word, numbers] = /^((?:leveldb )?[a-z]+?)s? (\d.*)$/i.exec(citation) ?? []
  if (word === undefined || numbers === undefined) return [canonical(citation)]
  const range = /^(\d+) to (\d+)$/.exec(numbers)
  const all =
    range === null
      ? (numbers.match(/\d+/g) ?? []).map(Number)
      : Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, index) => Number(range[1]) + index)
  return all.map((number) => `${word.toLowerCase()} ${number}`)
}

function canonical(name: string): RuleName {
  return / /.test(name) ? name.toLowerCase() : name.toUpperCase()
}
