import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Piece, type Pieces, ROOT } from './precise.ts'

/** A branch that was not run, as people and the recorded list know it. */
export interface Uncovered {
  readonly line: number
  /** The function that it is in, and its first line. Lines move; this does so only when the branch itself changes. */
  readonly what: string
}

/** The recorded list: by path, then by what is not run, why that is so. */
export type Recorded = Readonly<Record<string, Readonly<Record<string, string>>>>
export const RECORDED: string = join(import.meta.dirname, 'recorded.json')

export function readRecorded(): Recorded {
  return JSON.parse(readFileSync(RECORDED, 'utf8')) as Recorded
}

/** The branches of each file that was not run whole, in the order of the source. */
export function describe(pieces: Pieces): ReadonlyMap<string, readonly Uncovered[]> {
  const files = Object.entries(pieces)
    .map(([path, list]) => [path, describeFile(readFileSync(join(ROOT, path), 'utf8'), list)] as const)
    .filter(([, list]) => list.length > 0)
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function describeFile(source: string, pieces: readonly Piece[]): Uncovered[] {
  // What lies inside of another piece that was not run says nothing more.
  const outer = pieces.filter((piece) => !pieces.some((other) => other !== piece && encloses(other, piece)))
  const found = outer
    .toSorted((a, b) => a.from - b.from)
    .map(({ in: name, from, to }) => ({
      line: source.slice(0, from).split('\n').length,
      text: firstLine(source.slice(from, to)),
      name,
    }))
  const known = new Set<string>()
  return found.flatMap(({ line, text, name }) => {
    const what = `${name}: ${text}`
    if (text === '' || known.has(what)) return []
    known.add(what)
    return [{ line, what }]
  })
}

function encloses(a: Piece, b: Piece): boolean {
  return a.from <= b.from && a.to >= b.to && a.to - a.from > b.to - b.from
}

/** Empty where nothing but the end of a block is left: V8 counts what comes after a statement that always leaves. */
function firstLine(piece: string): string {
  const code = piece
    .split('\n')
    .map((line) => line.replace(/\/\/.*$/, '').trim())
    .find((line) => !/^[\s{}();,\]]*$/.test(line) && !line.startsWith('*') && !line.startsWith('/*'))
  return code === undefined ? '' : code.slice(0, 100)
}

/** What is not run and not in the recorded list, or there without a reason; one line each. */
export function unexplained(found: ReturnType<typeof describe>, recorded: Recorded): string[] {
  return [...found].flatMap(([path, list]) =>
    list.filter(({ what }) => (recorded[path]?.[what] ?? '') === '').map(({ line, what }) => `${path}:${line} ${what}`),
  )
}
