import { posix } from 'node:path'
import { commentsOnly } from './source-text.ts'
import { fileAt, isCode, lineAt, matches, type Problem, type Rule, type Tree, type TreeFile } from './tree.ts'

/** Names in backquotes that start like this are paths from the root. */
const ROOT_FOLDERS = /^(?:packages|docs|scripts|test|k8s|dashboards|\.ci)\//
/** Build outputs and data directories: they exist on a machine, not in the repository. */
const MADE_LATER = /(?:^|\/)(?:dist|node_modules|\.ashlar|\.cache)(?:\/|$)/

/** A document that names a file which is gone teaches a newcomer that documents are not to be trusted. */
export const documentNames: Rule = {
  name: 'document-names',
  check: (tree) => {
    const exists = pathsOf(tree)
    return tree.files
      .filter(({ path }) => path.endsWith('.md'))
      .flatMap((file) => [
        ...matchesMissing(file, /\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)/g, (name) =>
          exists.has(resolved(file.path, name)),
        ),
        ...matchesMissing(
          file,
          /`([^`\s]+)`/g,
          (name) =>
            !ROOT_FOLDERS.test(name) || MADE_LATER.test(name) || /[<>{}*…]/.test(name) || exists.has(trimmed(name)),
        ),
      ])
  },
}

function matchesMissing(file: TreeFile, pattern: RegExp, isThere: (name: string) => boolean): Problem[] {
  return [...file.text.matchAll(pattern)].flatMap((match) => {
    const name = match[1] ?? ''
    if (isThere(name)) return []
    return [{ path: file.path, line: lineAt(file.text, match.index), message: `${name} does not exist` }]
  })
}

function resolved(from: string, name: string): string {
  return trimmed(posix.join(posix.dirname(from), name))
}

function trimmed(name: string): string {
  return name.replace(/\/$/, '')
}

/** Every file and every folder. */
function pathsOf(tree: Tree): Set<string> {
  const paths = new Set<string>()
  for (const { path } of tree.files) {
    for (let at = path; at !== '.' && !paths.has(at); at = posix.dirname(at)) paths.add(at)
  }
  return paths
}

const DECISION_HEADINGS = ['## Context', '## Decision', '## Alternatives considered', '## Consequences']

/** Records are numbered without a gap, never renumbered, and each says what else was possible. */
export const decisionRecords: Rule = {
  name: 'decision-records',
  check(tree) {
    const records = tree.files.filter(({ path }) => path.startsWith('docs/decisions/'))
    const problems: Problem[] = []
    records.forEach((file, index) => {
      const number = String(index + 1).padStart(4, '0')
      const name = posix.basename(file.path)
      if (!name.startsWith(`${number}-`) || !/^\d{4}-[a-z0-9-]+\.md$/.test(name)) {
        problems.push({ path: file.path, line: 1, message: `the name should be ${number}-<words-with-hyphens>.md` })
      }
      for (const heading of DECISION_HEADINGS) {
        if (!file.text.split('\n').includes(heading)) {
          problems.push({ path: file.path, line: 1, message: `"${heading}" is missing` })
        }
      }
    })
    return problems
  },
}

const PROTOCOL = 'docs/PROTOCOL.md'
/** Documents whose numbered rules may be cited. */
const RULE_BOOKS = [PROTOCOL, 'docs/internals/leveldb.md']
/** How code cites a rule of the protocol: amendment 5, amendments 2 and 3, A2.7, A2.8-4, CTL-5, S-3, A3-7, finding 9. */
const CITATIONS =
  /\b(?:amendments? \d+(?:(?:, | and | to )\d+)*|(?:leveldb )?finding \d+|A2\.\d+(?:-\d+)?|A3-\d+|CTL-\d+|S-[1-5])\b/g

/** A comment that cites a rule sends its reader to docs/PROTOCOL.md: the rule has to be there, as a heading or bold. */
export const ruleCitations: Rule = {
  name: 'rule-citations',
  check(tree) {
    const protocol = fileAt(tree, PROTOCOL)
    if (protocol === undefined) return [{ path: PROTOCOL, line: 1, message: 'the protocol is not written down' }]
    const rules = new Set(RULE_BOOKS.flatMap((path) => [...rulesOf(fileAt(tree, path)?.text ?? '')]))
    return tree.files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        matches(file, commentsOnly(file.text), CITATIONS, ([citation]) => citation)
          .flatMap(({ line, message }) => citedRules(message).map((rule) => ({ line, rule })))
          .filter(({ rule }) => !rules.has(rule))
          .map(({ line, rule }) => ({
            path: file.path,
            line,
            message: `${rule} is no rule of ${RULE_BOOKS.join(' or ')}`,
          })),
      )
  },
}

/** Rules stand in their books as `**A2.7**`, `**Amendment 5**`, … at the start of a heading, a paragraph or a list item. */
export function rulesOf(protocol: string): Set<string> {
  const anchors = [
    ...protocol.matchAll(
      /^(?:#+ |[-*] |\| )?\**((?:Amendment|Finding|Leveldb finding) \d+|A2\.\d+(?:-\d+)?|A3-\d+|CTL-\d+|S-\d)\b/gm,
    ),
  ]
  return new Set(anchors.map((match) => (match[1] ?? '').toLowerCase()).map(canonical))
}

/** `amendments 2 and 3` are two rules. */
export function citedRules(citation: string): string[] {
  const [, word, numbers] = /^(amendment|finding)s? (.*)$/i.exec(citation) ?? []
  if (word === undefined || numbers === undefined) return [citation]
  const range = /^(\d+) to (\d+)$/.exec(numbers)
  if (range !== null) {
    const [first, last] = [Number(range[1]), Number(range[2])]
    return Array.from({ length: last - first + 1 }, (_, index) => `${word} ${first + index}`)
  }
  return (numbers.match(/\d+/g) ?? []).map((number) => `${word} ${number}`)
}

function canonical(rule: string): string {
  return /^(?:amendment|finding|leveldb)/.test(rule) ? rule : rule.toUpperCase()
}
