import type { SessionId, StoreId, VolumeId } from '@ashlar/proto'
import type { LogEntry } from '../../src/core/control/index.ts'
import type { HardState, PersistRequest, Snapshot } from '../../src/core/raft/index.ts'

export type Request = Omit<PersistRequest, 'token'>

export const A = '018f0000-0000-7000-8000-00000000000a' as StoreId
export const B = '018f0000-0000-7000-8000-00000000000b' as StoreId

export function entry(index: number, term: number): LogEntry {
  return { index, term, command: { do: 'detach', volume: index as VolumeId, session: term as SessionId } }
}

export function entries(from: number, to: number, term: number): LogEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term))
}

export function append(from: number, list: readonly LogEntry[], restart = false): Request {
  return { append: { from, entries: list, restart } }
}

export function snapshot(index: number, term: number): Snapshot {
  const members = { voters: [{ store: A, address: 'a:1' }], learners: [{ store: B, address: 'b:1' }] }
  return { index, term, members, state: new Uint8Array([3, 0, index, term, 0, 255]) }
}

/** Every kind of request, over several small files: what a voter of some years did. */
export const LIFE: readonly Request[] = [
  { hardState: { term: 1, vote: undefined }, ...append(1, entries(1, 4, 1)) },
  append(5, entries(5, 9, 1)),
  { hardState: { term: 2, vote: A } },
  append(7, entries(7, 8, 2)),
  append(9, entries(9, 12, 2)),
  { hardState: { term: 3, vote: undefined }, ...append(3, entries(3, 3, 3)) },
  append(4, entries(4, 12, 3)),
  { snapshot: snapshot(10, 3) },
  append(13, entries(13, 14, 3)),
  { hardState: { term: 5, vote: B }, snapshot: snapshot(13, 5), ...append(14, entries(14, 15, 5), true) },
  append(16, entries(16, 20, 5)),
  { hardState: { term: 6, vote: undefined }, ...append(15, entries(15, 15, 6)) },
]

/** What opening the log gives. */
export interface Held {
  readonly hardState: HardState | undefined
  readonly snapshot: number | undefined
  readonly entries: readonly (readonly [index: number, term: number])[]
}

/** A model of the files: what they hold after requests, and what a crash may leave of the one under way. */
export class LogModel {
  hardState: HardState | undefined
  snapshot: Snapshot | undefined
  log: LogEntry[] = []

  write(request: Request): void {
    for (const state of this.crashesIn(request)) Object.assign(this, state)
  }

  /** Every state on the way, the first and the last included, in the order in which they come. */
  crashesIn({ hardState, snapshot: taken, append: change }: Request): LogModel[] {
    const states: LogModel[] = [this.#with({})]
    const add = (change: Partial<LogModel>) => states.push((states.at(-1) as LogModel).#with(change))
    if (hardState !== undefined) add({ hardState })
    if (taken !== undefined) add({ snapshot: taken })
    if (change === undefined) return states
    const keep = change.restart ? 0 : this.log.filter(({ index }) => index < change.from).length
    for (let length = this.log.length; length >= keep; length--) add({ log: this.log.slice(0, length) })
    const kept = this.log.slice(0, keep)
    for (let i = 1; i <= change.entries.length; i++) add({ log: [...kept, ...change.entries.slice(0, i)] })
    return states
  }

  /** Entries that a snapshot covers do not count, nor those of another history than its own. */
  get held(): Held {
    const { snapshot: taken, log } = this
    const at = log.find(({ index }) => index === taken?.index)
    const isOther =
      taken !== undefined && log[0] !== undefined && log[0].index <= taken.index && at?.term !== taken.term
    const follow = isOther ? [] : log.filter(({ index }) => index > (taken?.index ?? 0))
    return {
      hardState: this.hardState,
      snapshot: taken?.index,
      entries: follow.map(({ index, term }) => [index, term] as const),
    }
  }

  #with(change: Partial<LogModel>): LogModel {
    return Object.assign(new LogModel(), { hardState: this.hardState, snapshot: this.snapshot, log: this.log }, change)
  }
}
