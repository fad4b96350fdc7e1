/** A system call of LevelDB, or of the store around it, that fails once, or at which the process is killed. */
export interface CallPoint {
  readonly kind: 'call'
  readonly call: 'fdatasync' | 'write' | 'rename'
  readonly fault: 'EIO' | 'ENOSPC' | 'SIGKILL'
  /** Which call of each thread, from 1 on. */
  readonly at: number
}

/** One flipped bit in one page of one file of a store that was closed. */
export interface FlipPoint {
  readonly kind: 'flip'
  /** Name of the file in the database's directory. */
  readonly file: string
  readonly offset: number
  readonly bit: number
}

export type Point = CallPoint | FlipPoint

/** Calls of its busiest thread that a run of the writer makes, about: later ones are never reached. */
const LAST_CALL = { fdatasync: 45, write: 110, rename: 4 } as const
export const PAGE_BYTES = 4096

export function callPoints(): CallPoint[] {
  const points: CallPoint[] = []
  for (const call of ['fdatasync', 'write', 'rename'] as const) {
    for (const fault of ['EIO', 'ENOSPC', 'SIGKILL'] as const) {
      for (let at = 1; at <= LAST_CALL[call]; at++) points.push({ kind: 'call', call, fault, at })
    }
  }
  return points
}

/** Keys, versions, index and footer are in the last bytes of a table, and bytes of blocks before them. */
const END_BYTES = 4096
const END_STEP_BYTES = 128

/** One point in each page of each file, and more at the ends of tables, at places that `random` chooses. */
export function flipPoints(files: readonly { name: string; bytes: number }[], random: () => number): FlipPoint[] {
  const points: FlipPoint[] = []
  const add = (file: string, from: number, to: number) =>
    points.push({
      kind: 'flip',
      file,
      offset: from + Math.floor(random() * (to - from)),
      bit: Math.floor(random() * 8),
    })
  for (const { name, bytes } of files) {
    for (let page = 0; page < bytes; page += PAGE_BYTES) add(name, page, Math.min(page + PAGE_BYTES, bytes))
    if (!name.endsWith('.ldb')) continue
    for (let at = Math.max(0, bytes - END_BYTES); at < bytes; at += END_STEP_BYTES)
      add(name, at, Math.min(at + END_STEP_BYTES, bytes))
  }
  return points
}

export function nameOf(point: Point): string {
  if (point.kind === 'flip') return `bit ${point.bit} of byte ${point.offset} of ${point.file}`
  return `${point.fault} at the ${point.call} number ${point.at} of each thread`
}

/** As many points as wanted, in an order that `random` chooses, every kind in the share that it has of all. */
export function chosen<T>(points: readonly T[], count: number, random: () => number): T[] {
  const left = [...points]
  for (let last = left.length - 1; last > 0; last--) {
    const at = Math.floor(random() * (last + 1))
    const moved = left[last] as T
    left[last] = left[at] as T
    left[at] = moved
  }
  return left.slice(0, count)
}
