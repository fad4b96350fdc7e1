import assert from 'node:assert/strict'
import type { LogEntry } from '../../../src/core/control/index.ts'
import type { HardState, PersistRequest, Snapshot } from '../../../src/core/raft/index.ts'

/** What one store's log files hold: what is on stable storage, and what would be once every request is written. */
export class RaftDisk {
  hardState: HardState | undefined
  snapshot: Snapshot | undefined
  /** Entries by their index; what a snapshot covers is kept, as whole files would be. */
  entries: LogEntry[]
  /** Requests that are not durable yet, with the moment at which they will be. */
  readonly waiting: { readonly request: PersistRequest; readonly dueAt: number }[] = []

  readonly #lost = new Set<string>()

  constructor(entries: readonly LogEntry[]) {
    this.entries = [...entries]
  }

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot?.index ?? 0
  }

  has(index: number, term: number): boolean {
    if (index <= (this.snapshot?.index ?? 0)) return true
    return this.entryAt(index)?.term === term
  }

  entryAt(index: number): LogEntry | undefined {
    return this.entries[index - (this.entries[0]?.index ?? 0)]
  }

  /** The oldest request becomes durable. */
  complete(): PersistRequest {
    const next = this.waiting.shift()
    if (next === undefined) throw new Error('the disk has nothing to write')
    this.write(next.request)
    return next.request
  }

  /** The power goes: `whole` requests survive, and of the next one the first `parts` parts and entries. */
  crash(whole: number, parts: number): void {
    for (let i = 0; i < whole && this.waiting.length > 0; i++) this.complete()
    const torn = this.waiting[0]?.request
    this.waiting.length = 0
    if (torn === undefined) return
    const { hardState, snapshot, append } = torn
    if (hardState !== undefined && parts >= 1) this.hardState = hardState
    if (snapshot !== undefined && parts >= 2) this.snapshot = snapshot
    if (append !== undefined && parts >= 3) this.append({ ...append, entries: append.entries.slice(0, parts - 3) })
  }

  /**
   * The files are gone, or too damaged to be believed, but for what marks the highest term: what opening them makes of it. Not
   * for a store that never took part.
   */
  loseLog(): void {
    for (const { index, term } of this.entries) this.#lost.add(`${index}/${term}`)
    const term = Math.max(this.hardState?.term ?? 0, this.entries.at(-1)?.term ?? 0)
    this.hardState = { term: term + 1, vote: undefined, recovering: true }
    this.snapshot = undefined
    this.entries = []
    this.waiting.length = 0
  }

  /** It held the entry when it acknowledged it. */
  hasOrLost(index: number, term: number): boolean {
    return this.has(index, term) || this.#lost.has(`${index}/${term}`)
  }

  /** What opening the files gives: entries that follow the snapshot, if they belong to it. */
  open(): { hardState: HardState | undefined; snapshot: Snapshot | undefined; entries: LogEntry[] } {
    const { snapshot, hardState } = this
    if (snapshot === undefined) return { hardState, snapshot, entries: [...this.entries] }
    const at = this.entryAt(snapshot.index)
    const first = this.entries[0]?.index ?? snapshot.index + 1
    const follows = first === snapshot.index + 1 || at?.term === snapshot.term
    this.entries = follows ? this.entries.filter((entry) => entry.index > snapshot.index) : []
    return { hardState, snapshot, entries: [...this.entries] }
  }

  /** The disk as it will be when all that waits is written. */
  future(): RaftDisk {
    const copy = new RaftDisk(this.entries)
    copy.hardState = this.hardState
    copy.snapshot = this.snapshot
    for (const { request } of this.waiting) copy.write(request)
    return copy
  }

  private write({ hardState, snapshot, append }: PersistRequest): void {
    if (hardState !== undefined) this.hardState = hardState
    if (snapshot !== undefined) this.snapshot = snapshot
    if (append !== undefined) this.append(append)
  }

  private append({ from, entries, restart }: NonNullable<PersistRequest['append']>): void {
    if (restart) this.entries = []
    const first = this.entries[0]?.index ?? from
    assert.ok(from >= first && from <= first + this.entries.length, `entry ${from} leaves a gap`)
    this.entries.length = from - first
    this.entries.push(...entries)
  }
}
