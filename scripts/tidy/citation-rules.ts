import { citationsIn, PROTOCOL, protocolRules, ruleNames } from './rule-books.ts'
import { commentsOnly } from './source-text.ts'
import {
  fileAt,
  isCode,
  isTest,
  matches,
  type Problem,
  problemAt,
  type Rule,
  type Tree,
  type TreeFile,
} from './tree.ts'

/** Tests of tidy and of the generator cite rules that do not exist, to see them refused. */
const MADE_UP = /^test\/tidy\//

/**
 * A citation sends its reader to a page: the rule, decision, pitfall or line has to be there. Read are documents,
 * comments of sources, and all of a test, since names of tests and rules of mutants cite too.
 */
export const ruleCitations: Rule = {
  name: 'rule-citations',
  check(tree) {
    if (fileAt(tree, PROTOCOL) === undefined) {
      return [{ path: PROTOCOL, line: 1, message: 'the protocol is not written down' }]
    }
    const known = ruleNames(tree)
    return citingFiles(tree).flatMap(({ file, text }) =>
      citationsIn(text)
        .filter(({ rule }) => !known.has(rule))
        .map(({ rule, index }) => problemAt(file, index, `${rule} is in no page of this repository`)),
    )
  },
}

/** A rule has one number and stands once; each amendment became one rule, and none was lost. */
export const ruleNumbers: Rule = {
  name: 'rule-numbers',
  check(tree) {
    const rules = protocolRules(fileAt(tree, PROTOCOL)?.text ?? '')
    const problem = (message: string): Problem => ({ path: PROTOCOL, line: 1, message })
    const amendments = rules.flatMap(({ aliases }) => aliases)
    const last = Math.max(0, ...amendments.map((name) => Number(name.slice('amendment '.length))))
    const wanted = Array.from({ length: last }, (_, index) => `amendment ${index + 1}`)
    return [
      ...repeated([...rules.map(({ name }) => name), ...amendments]).map((name) => problem(`${name} stands twice`)),
      ...wanted.filter((name) => !amendments.includes(name)).map((name) => problem(`${name} has become no rule`)),
    ]
  },
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index)
}

/** Files that may cite, with the part of each in which a citation counts. */
export function citingFiles(tree: Tree): { readonly file: TreeFile; readonly text: string }[] {
  return tree.files
    .filter(({ path }) => (isCode(path) || path.endsWith('.md')) && !MADE_UP.test(path))
    .map((file) => ({ file, text: isTest(file.path) || !isCode(file.path) ? file.text : commentsOnly(file.text) }))
}

/** What points at pages that are not here: a design, a list of requirements, a section that nothing is named of. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/\bdesign(?:\.md)?(?: section)? \d|\(design[ :.]/gi, 'the design is no page of this repository'],
  [/\b(?:requirements?|house rules?|hazards?) \d+/gi, 'is a number of no page of this repository'],
  [
    /(?<!\b(?:Raft|thesis,?|paper,?|RFC \d+|specification,?)[ \n*]{1,8})\bsections? \d/gi,
    'name the document that has this section',
  ],
]
/** Names of documents of other projects begin with their own folder, as in `doc/proto.md` of NBD. */
const OTHER_PROJECTS = /^doc\//

export const pageCitations: Rule = {
  name: 'page-citations',
  check(tree) {
    const paths = new Set(tree.files.map(({ path }) => path))
    return tree.files
      .filter(({ path }) => isCode(path) && !MADE_UP.test(path))
      .flatMap((file) => {
        const text = commentsOnly(file.text)
        return [
          ...ELSEWHERE.flatMap(([pattern, message]) =>
            matches(file, text, pattern, ([found]) => `"${found}": ${message}`),
          ),
          ...[...text.matchAll(/(?<![\w./-])[\w./-]+\.md\b/g)]
            .filter(([name]) => !paths.has(name) && !OTHER_PROJECTS.test(name))
            .map(({ 0: name, index }) => problemAt(file, index, `${name} does not exist`)),
        ]
      })
  },
}
