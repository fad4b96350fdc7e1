import { invariant } from '@ashlar/proto'
import type { LogEntry, Members } from '../control/log/index.ts'
import { entryBytes } from './entry-bytes.ts'
import { membersOf, NOBODY } from './members.ts'
import type { PersistRequest, Snapshot } from './stored.ts'

interface MembersAt {
  readonly index: number
  readonly members: Members
}

/** What a persist request takes to the disk, until it is there. `last` falls when entries are dropped meanwhile. */
interface Saving {
  readonly token: number
  last: number
}

/**
 * The log in memory: everything from `base` on. Its front is on stable storage (up to `stable`), its tail is not yet.
 *
 *   snapshot ... base | base+1 ... applied ... commit ... lastIndex
 *                          <-- stable -->|<-- being saved, unsaved -->
 *
 * Promises: what is committed never changes; entries are handed over only when they are committed and stable here.
 */
export class RaftLog {
  /** Highest index known to be committed. */
  commit: number
  /** Highest index that was handed over. */
  applied: number
  /** The state of `snapshot` was not handed over yet: it came from a leader, or this store has just started. */
  restoring: boolean
  private base: { index: number; term: number }
  private readonly entries: LogEntry[] = []
  private readonly bytes: number[] = []
  /** Members by the entry that brought them; the first of them holds at `base`. */
  private memberChanges: MembersAt[]
  private latestSnapshot: Snapshot | undefined
  private snapshotUnsaved = false
  private stableIndex: number
  /** First index that no persist request has taken yet. */
  private unsaved: number
  private saving: Saving[] = []

  constructor(snapshot: Snapshot | undefined, entries: readonly LogEntry[]) {
    const index = snapshot?.index ?? 0
    this.latestSnapshot = snapshot
    this.base = { index, term: snapshot?.term ?? 0 }
    this.memberChanges = [{ index, members: snapshot?.members ?? NOBODY }]
    this.commit = index
    this.applied = index
    this.restoring = snapshot !== undefined
    this.unsaved = index + 1
    this.append(entries)
    this.stableIndex = this.lastIndex
    this.unsaved = this.stableIndex + 1
  }

  /** The latest snapshot. */
  get snapshot(): Snapshot | undefined {
    return this.latestSnapshot
  }

  get baseIndex(): number {
    return this.base.index
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length
  }

  get lastTerm(): number {
    return this.entries.at(-1)?.term ?? this.base.term
  }

  /** Highest index on stable storage. */
  get stable(): number {
    return this.stableIndex
  }

  /** Who takes part by the newest entry that says so, committed or not. */
  get members(): Members {
    return this.latestMembers().members
  }

  /** Index of the entry that brought `members`. */
  get membersIndex(): number {
    return this.latestMembers().index
  }

  /** Undefined: compacted away, or not there yet. */
  termAt(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term
  }

  entryAt(index: number): LogEntry {
    const entry = this.entries[index - this.base.index - 1]
    invariant(entry !== undefined, `the log holds entries ${this.baseIndex + 1} to ${this.lastIndex}, not ${index}`)
    return entry
  }

  /** Entries from `from` on, one at least if there is one, and then as many as fit. */
  slice(from: number, maxBytes: number): LogEntry[] {
    const start = from - this.base.index - 1
    let end = start
    for (let bytes = 0; end < this.entries.length; end++) {
      bytes += this.bytes[end] ?? 0
      if (end > start && bytes > maxBytes) break
    }
    return this.entries.slice(start, end)
  }

  /** Bytes of one entry that the log holds. */
  bytesOf(index: number): number {
    return this.bytes[index - this.base.index - 1] ?? 0
  }

  /** Bytes of the entries after `index`. */
  bytesAfter(index: number): number {
    return this.bytes.slice(Math.max(0, index - this.base.index)).reduce((sum, bytes) => sum + bytes, 0)
  }

  /** True when a log with this last entry holds everything that this one may have committed (Raft section 5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex)
  }

  /**
   * Highest index up to `index` whose term is `term` at most: no later place can agree with a log that has `term`
   * there.
   */
  findHint(index: number, term: number): { readonly index: number; readonly term: number } {
    let at = Math.min(index, this.lastIndex)
    while (at > this.base.index && (this.termAt(at) ?? 0) > term) at--
    return { index: at, term: this.termAt(at) ?? 0 }
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  /** Appends entries that follow the last one. */
  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      invariant(entry.index === this.lastIndex + 1, `entry ${entry.index} follows entry ${this.lastIndex}`)
      invariant(entry.term >= this.lastTerm, `an entry of term ${entry.term} follows one of term ${this.lastTerm}`)
      this.entries.push(entry)
      this.bytes.push(entryBytes(entry))
      const members = membersOf(entry.command)
      if (members !== undefined) this.memberChanges.push({ index: entry.index, members })
    }
  }

  /**
   * Takes entries of the leader, the first of which follows entry `prevIndex`. Only at the first one that differs is
   * the rest of the log dropped: a delayed message must not cut off what came after it.
   */
  accept(entries: readonly LogEntry[]): void {
    const first = entries.findIndex((entry) => this.termAt(entry.index) !== entry.term)
    if (first < 0) return
    const fresh = entries.slice(first)
    const from = fresh[0]?.index ?? this.lastIndex + 1
    if (from <= this.lastIndex) this.truncate(from)
    this.append(fresh)
  }

  commitTo(index: number): void {
    invariant(index <= this.lastIndex, `entry ${index} is committed, and the log ends at ${this.lastIndex}`)
    if (index > this.commit) this.commit = index
  }

  /** Replaces everything by a snapshot from the leader. */
  restore(snapshot: Snapshot): void {
    invariant(
      snapshot.index > this.commit,
      `snapshot ${snapshot.index} is older than what is committed, ${this.commit}`,
    )
    this.entries.length = 0
    this.bytes.length = 0
    this.base = { index: snapshot.index, term: snapshot.term }
    this.memberChanges = [{ index: snapshot.index, members: snapshot.members }]
    this.takeSnapshot(snapshot)
    this.restoring = true
    this.commit = snapshot.index
    this.stableIndex = Math.min(this.stableIndex, snapshot.index - 1)
    this.unsaved = snapshot.index
    for (const saving of this.saving) saving.last = Math.min(saving.last, this.stableIndex)
  }

  /** A snapshot of this very log, or one from the leader: the disk gets it with the next request. */
  takeSnapshot(snapshot: Snapshot): void {
    this.latestSnapshot = snapshot
    this.snapshotUnsaved = true
  }

  /** Forgets the front up to `index`, which the snapshot covers. */
  compact(index: number): void {
    invariant(index <= this.applied && index <= this.stableIndex, `entry ${index} is still needed`)
    const count = index - this.base.index
    if (count <= 0) return
    const members = this.membersAt(index)
    this.base = { index, term: this.entryAt(index).term }
    this.entries.splice(0, count)
    this.bytes.splice(0, count)
    this.memberChanges = [{ index, members }, ...this.memberChanges.filter((change) => change.index > index)]
  }

  membersAt(index: number): Members {
    return this.memberChanges.filter((change) => change.index <= index).at(-1)?.members ?? NOBODY
  }

  // ---- the disk ----------------------------------------------------------------------------------------------------

  /** What the disk does not know yet, as the request with this token takes it; undefined when there is nothing. */
  takeUnsaved(token: number): PersistRequest['append'] {
    const from = this.unsaved
    const restart = this.restoring && from === this.base.index
    if (from > this.lastIndex && !restart) return undefined
    this.saving.push({ token, last: this.lastIndex })
    this.unsaved = this.lastIndex + 1
    // The entry that a snapshot stands for travels with the snapshot.
    const first = Math.max(from, this.base.index + 1)
    return { from: first, entries: this.slice(first, Number.POSITIVE_INFINITY), restart }
  }

  takeUnsavedSnapshot(): Snapshot | undefined {
    const snapshot = this.snapshotUnsaved ? this.latestSnapshot : undefined
    this.snapshotUnsaved = false
    return snapshot
  }

  /** Everything up to the request with this token is durable. */
  saved(token: number): void {
    for (const saving of this.saving)
      if (saving.token <= token && saving.last > this.stableIndex) this.stableIndex = saving.last
    this.saving = this.saving.filter((saving) => saving.token > token)
  }

  private truncate(from: number): void {
    invariant(from > this.commit, `entry ${from} is committed and was about to be dropped`)
    this.entries.length = from - this.base.index - 1
    this.bytes.length = this.entries.length
    this.memberChanges = this.memberChanges.filter((change) => change.index < from)
    this.unsaved = Math.min(this.unsaved, from)
    this.stableIndex = Math.min(this.stableIndex, from - 1)
    for (const saving of this.saving) saving.last = Math.min(saving.last, from - 1)
  }

  private latestMembers(): MembersAt {
    const latest = this.memberChanges.at(-1)
    invariant(latest !== undefined, 'the log knows no members')
    return latest
  }
}
