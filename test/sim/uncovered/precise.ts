import { Session } from 'node:inspector/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT: string = join(import.meta.dirname, '../../..')
/** The machines: what a seed runs as it ships. */
const COVERED: readonly string[] = ['packages/node/src/core/', 'packages/client/src/core/']

/** A piece of a file that was not run, by offsets in its source; `in`: the function that it is in. */
export interface Piece {
  readonly in: string
  readonly from: number
  readonly to: number
}

/** Pieces by path from the root of the repository; none where all of a file was run. */
export type Pieces = Readonly<Record<string, readonly Piece[]>>

/**
 * Runs something and says which branches of the machines it did not run, by V8's own counts of blocks. Types are blanked out
 * before a file is run, so that its offsets are those of the source. Modules must not have been loaded before: `run` imports them.
 */
export async function uncoveredBy(run: () => Promise<void>): Promise<Pieces> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  await run()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  session.disconnect()
  const found: Record<string, Piece[]> = {}
  for (const { url, functions } of result) {
    const path = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : ''
    if (!COVERED.some((folder) => path.startsWith(folder))) continue
    found[path] = functions.flatMap(({ functionName, ranges }) =>
      ranges
        .filter(({ count }) => count === 0)
        .map(({ startOffset: from, endOffset: to }) => ({ in: functionName, from, to })),
    )
  }
  return found
}

/** What neither of two runs ran. A file that only one of them loaded was run by that one alone. */
export function inBoth(a: Pieces, b: Pieces): Pieces {
  const both: Record<string, readonly Piece[]> = { ...a, ...b }
  for (const [path, pieces] of Object.entries(a)) {
    const others = b[path]
    if (others !== undefined) both[path] = pieces.flatMap((piece) => others.flatMap((other) => common(piece, other)))
  }
  return both
}

function common(a: Piece, b: Piece): Piece[] {
  const from = Math.max(a.from, b.from)
  const to = Math.min(a.to, b.to)
  // The smaller piece names the function more exactly.
  return from >= to ? [] : [{ in: a.to - a.from < b.to - b.from ? a.in : b.in, from, to }]
}
