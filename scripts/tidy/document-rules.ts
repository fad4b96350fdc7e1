import { posix } from 'node:path'
import { type Problem, problemAt, type Rule, type Tree, type TreeFile } from './tree.ts'

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
  return [...file.text.matchAll(pattern)]
    .filter(([, name = '']) => !isThere(name))
    .map(({ 1: name, index }) => problemAt(file, index, `${name} does not exist`))
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
