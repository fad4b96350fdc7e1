import { posix } from 'node:path'
import { citingFiles } from '../tidy/citation-rules.ts'
import { citationsIn, PROTOCOL, type ProtocolRule, protocolRules, type RuleName } from '../tidy/rule-books.ts'
import { fileAt, isCode, isShipped, isTest, type Tree } from '../tidy/tree.ts'
import { code, page, table } from './page.ts'

const PAGE = 'docs/internals/protocol-map.md'
const MUTANTS = 'test/sim/mutants/'

/** What cites a rule. */
interface Citations {
  readonly sources: Set<string>
  readonly tests: Set<string>
  readonly mutants: Set<string>
}

/** From each rule of the protocol to the sources and tests that cite it, under its number or as the amendment that it was. */
export function protocolMapPage(tree: Tree): string {
  const rules = protocolRules(fileAt(tree, PROTOCOL)?.text ?? '')
  const cited = citationsOf(tree)
  const names = rules
    .flatMap(({ name, aliases }) => aliases.map((alias) => [alias, name] as const))
    .sort(([one], [other]) => numberOf(one) - numberOf(other))
  return page('Where each rule of the protocol is cited', [
    `Rules are those of [PROTOCOL.md](../PROTOCOL.md). A source cites a rule where it keeps it, a test where it proves it; mutants are those of \`${MUTANTS}\`, each of which breaks the rule and has to be caught by the simulator. A rule of a section may be cited by the section alone. Which file decides what, by question: [ARCHITECTURE.md](../ARCHITECTURE.md#where-is-).`,
    ...rules.map((rule) =>
      section(
        rule,
        [rule.name, ...rule.aliases].flatMap((name) => cited.get(name) ?? []),
      ),
    ),
    '## Old names',
    table(['Name', 'Is now'], names),
  ])
}

/** One line for each citation, so that two changes of the sources seldom meet in one line of the page. */
function section({ name, title, aliases }: ProtocolRule, citations: readonly Citations[]): string {
  const lines = (word: string, pick: (of: Citations) => Set<string>, show: (cited: string) => string): string[] =>
    [...new Set(citations.flatMap((of) => [...pick(of)]))].sort().map((cited) => `- ${word} ${show(cited)}`)
  return [
    `**${name}** ${title}${aliases.length === 0 ? '' : ` (${aliases.join(', ')})`}\n`,
    ...lines('source', (of) => of.sources, linkTo),
    ...lines('test', (of) => of.tests, linkTo),
    ...lines('mutant', (of) => of.mutants, code),
  ]
    .join('\n')
    .trim()
}

function linkTo(path: string): string {
  return `[${posix.basename(path)}](${posix.relative(posix.dirname(PAGE), path)})`
}

function citationsOf(tree: Tree): Map<RuleName, Citations> {
  const cited = new Map<RuleName, Citations>()
  const of = (rule: RuleName): Citations => {
    const known = cited.get(rule) ?? { sources: new Set(), tests: new Set(), mutants: new Set() }
    cited.set(rule, known)
    return known
  }
  for (const { file, text } of citingFiles(tree)) {
    if (!isCode(file.path)) continue
    for (const [, name = '', rules = ''] of file.text.matchAll(/name: '([^']+)',\s*rule: '([^']+)'/g)) {
      if (file.path.startsWith(MUTANTS)) for (const { rule } of citationsIn(rules)) of(rule).mutants.add(name)
    }
    for (const { rule } of citationsIn(text)) {
      if (isShipped(file.path)) of(rule).sources.add(file.path)
      else if (isTest(file.path) && !file.path.startsWith(MUTANTS)) of(rule).tests.add(file.path)
    }
  }
  return cited
}

function numberOf(name: RuleName): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0)
}
