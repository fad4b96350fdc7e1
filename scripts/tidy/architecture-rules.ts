import { posix } from 'node:path'
import { codeOnly } from './source-text.ts'
import { fileAt, isShipped, type Problem, problemAt, type Rule } from './tree.ts'

const ARCHITECTURE = 'docs/ARCHITECTURE.md'
/** Fewer answers would leave a newcomer searching. */
const QUESTIONS = 30

/**
 * The tables of docs/ARCHITECTURE.md: every room of the packages is in the one of rooms, every file and symbol in the one
 * of places is there, and every decision is listed.
 */
export const architectureTables: Rule = {
  name: 'architecture-tables',
  check(tree) {
    const page = fileAt(tree, ARCHITECTURE)
    if (page === undefined) return [{ path: ARCHITECTURE, line: 1, message: 'the architecture is not written down' }]
    const section = (title: string): { readonly at: number; readonly text: string } => {
      const match = new RegExp(`^## ${title}[\\s\\S]*?(?=\\n## |$(?![\\s\\S]))`, 'm').exec(page.text)
      return { at: match?.index ?? 0, text: match?.[0] ?? '' }
    }
    const problem = (at: number, message: string): Problem => problemAt(page, at, message)
    const rooms = section('Rooms')
    const decisions = section('Decisions')
    const places = section('Where is')
    const rows = [...places.text.matchAll(/^\| [^|`]*(?:`[^|]*`[^|`]*)*\| `([^`]+)` \| `([^`]+)` \|$/gm)]
    return [
      ...[...roomsOf(tree.files.map(({ path }) => path))]
        .filter((room) => !rooms.text.includes(`\n| \`${room}\` |`))
        .map((room) => problem(rooms.at, `the room ${room} is not in the table of rooms`)),
      ...tree.files
        .filter(({ path }) => path.startsWith('docs/decisions/') && !decisions.text.includes(`](${path.slice(5)})`))
        .map(({ path }) => problem(decisions.at, `${path} is not in the table of decisions`)),
      ...(rows.length < QUESTIONS
        ? [problem(places.at, `${rows.length} places are told, of ${QUESTIONS} at least`)]
        : []),
      ...rows
        .filter(([, path = '', symbol = '']) => !declares(fileAt(tree, path)?.text, symbol))
        .map((row) => problem(places.at + row.index, `${row[1]} does not declare ${row[2]}`)),
    ]
  },
}

/** Folders right below `src`, and below the `core` of the node. */
function roomsOf(paths: readonly string[]): Set<string> {
  const rooms = new Set<string>()
  for (const path of paths.filter(isShipped)) {
    for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) {
      if (/^packages\/[a-z]+\/src\/[^/]+$|^packages\/node\/src\/core\/[^/]+$/.test(at)) rooms.add(at)
    }
  }
  return rooms
}

/** True when the source has a function, class, constant, type or member of this name. */
export function declares(source: string | undefined, symbol: string): boolean {
  if (source === undefined) return false
  const declaration = `(?:function\\*?|class|const|interface|type) ${symbol}\\b`
  const member = `^ +(?:(?:private|async|readonly|static|get) )*[*#]?${symbol}(?:<[^(]*>)?(?:\\(.*\\{$|\\($|: )`
  return new RegExp(`${declaration}|${member}`, 'm').test(codeOnly(source))
}
