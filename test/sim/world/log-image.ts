import {
  type Effect,
  isBehindMark,
  keptLog,
  type LogEntry,
  type LogMark,
  markOfLog,
  markOfVote,
  NO_LOG_MARK,
  type NodeStart,
  newerMark,
  othersKeepLog,
} from '@ashlar/node/core'
import type { StoreId, Voter } from '@ashlar/proto'

type PersistRequest = Extract<Effect, { type: 'raft-persist' }>['request']

/**
 * The control log of one node on its disk: a snapshot, and entries without a gap, some of which the snapshot may cover.
 * What opening makes of it is what the shipped log does.
 */
export class LogImage {
  readonly entries: LogEntry[] = []
  snapshot: NodeStart['snapshot']
  /** Term and vote, over several voters. */
  hardState: NodeStart['hardState']
  /** What the store said, beside the log: it does not go back with it. */
  mark: LogMark = NO_LOG_MARK
  /** The same outside of the data directory: it goes back with nothing, and is lost with the power. */
  private bootMark: LogMark = NO_LOG_MARK

  /** Index of the last entry, or of the snapshot that stands for it. */
  get lastIndex(): number {
    return Math.max(this.entries.at(-1)?.index ?? 0, this.snapshot?.index ?? 0)
  }

  /** The members by the newest entry that names them; undefined without such an entry. */
  get members(): NonNullable<NodeStart['snapshot']>['members'] | undefined {
    const newest = this.entries.findLast(({ command }) => command.do === 'found' || command.do === 'set-members')
    if (newest === undefined || newest.index <= (this.snapshot?.index ?? 0)) return this.snapshot?.members
    return membersOf(newest)
  }

  entry(index: number): LogEntry | 'in the snapshot' | undefined {
    const entry = this.entries[index - (this.entries[0]?.index ?? 1)]
    if (entry !== undefined && entry.index === index) return entry
    return index <= (this.snapshot?.index ?? 0) ? 'in the snapshot' : undefined
  }

  /** Executes a request, part by part, for as long as `goesOn` returns true: after that the power is off. */
  executeEffects(request: PersistRequest, goesOn: () => boolean): void {
    const { hardState, snapshot, append } = request
    if (!goesOn()) return
    if (hardState !== undefined) {
      this.hardState = hardState
      this.mark = markOfVote(this.mark, hardState)
      this.bootMark = newerMark(this.bootMark, this.mark)
    }
    if (snapshot !== undefined) {
      if (!goesOn()) return
      this.snapshot = snapshot
    }
    if (append !== undefined) {
      if (!goesOn()) return
      this.cutFrom(append.restart ? 0 : append.from)
      for (const entry of append.entries) {
        if (!goesOn()) return
        this.push(entry)
      }
    }
    this.mark = markOfLog(this.mark, request)
    this.bootMark = newerMark(this.bootMark, this.mark)
    if (snapshot !== undefined && goesOn()) this.prune(snapshot.index)
  }

  /** An entry of a log that one voter keeps without elections. */
  append(entry: LogEntry): void {
    this.entries.push(entry)
    this.mark = { term: entry.term, vote: undefined, index: entry.index }
    this.bootMark = newerMark(this.bootMark, this.mark)
  }

  /** The machine reboots. */
  losePower(): void {
    this.bootMark = NO_LOG_MARK
  }

  /** The log as it is, for an operator to keep. */
  copy(): LogCopy {
    const { entries, snapshot, hardState, mark } = this
    return { entries: [...entries], snapshot, hardState, mark }
  }

  /** Puts a copy in its place, with the mark beside it if the whole directory is put back. */
  putBack({ entries, snapshot, hardState, mark }: LogCopy, withMark: boolean): void {
    this.entries.splice(0, this.entries.length, ...entries)
    this.snapshot = snapshot
    this.hardState = hardState
    if (withMark) this.mark = mark
  }

  /**
   * The log is lost and the mark beside it is not: opening begins a new one, in the next term, for the others to fill.
   */
  lose(): void {
    const term = Math.max(this.said.term, this.hardState?.term ?? 0) + 1
    this.entries.length = 0
    this.snapshot = undefined
    this.hardState = { term, vote: undefined, recovering: true }
  }

  /** True once the shipped log would know that it is an old copy, and begin a new log; no log is opened if none was kept. */
  get isBehind(): boolean {
    if (this.isMissing && !keptLog(this.said)) return false
    return isBehindMark(this.said, this.hardState ?? this.withoutElections, this.lastIndex)
  }

  /** By what went back with it no other store keeps what it lacks: no process starts over it. */
  isRefusedTo(voters: readonly Voter[], self: StoreId): boolean {
    return !othersKeepLog(voters, self) && this.isBehind
  }

  private get isMissing(): boolean {
    return this.hardState === undefined && this.snapshot === undefined && this.entries.length === 0
  }

  private get said(): LogMark {
    return newerMark(this.mark, this.bootMark)
  }

  /** A log without elections is always of its first term. */
  private get withoutElections(): NodeStart['hardState'] {
    const last = this.entries.at(-1)
    return last === undefined ? undefined : { term: last.term, vote: undefined }
  }

  /**
   * Entries that follow the snapshot. A log that is of another history than the snapshot, or ends before it, is
   * dropped: a crash came between the two.
   */
  open(): LogEntry[] {
    if (this.isBehind) this.lose()
    this.bootMark = newerMark(this.bootMark, this.mark)
    const { snapshot, entries } = this
    const first = entries[0]?.index
    if (snapshot === undefined || first === undefined || first === snapshot.index + 1) return [...entries]
    if (entries[snapshot.index - first]?.term !== snapshot.term) entries.length = 0
    return entries.slice(snapshot.index - first + 1)
  }

  private push(entry: LogEntry): void {
    const last = this.entries.at(-1)?.index
    if (last !== undefined && entry.index !== last + 1)
      throw new Error(`entry ${entry.index} was written after entry ${last} of the control log`)
    this.entries.push(entry)
  }

  private cutFrom(index: number): void {
    const kept = index - (this.entries[0]?.index ?? index)
    this.entries.length = Math.max(0, Math.min(this.entries.length, kept))
  }

  /** The shipped log drops whole files, so that some entries before the snapshot stay: here every other time. */
  private prune(index: number): void {
    if (index % 2 === 0) return
    const first = this.entries[0]?.index
    if (first !== undefined) this.entries.splice(0, index - first + 1)
  }
}

/** A control log at some moment. */
export type LogCopy = Pick<LogImage, 'snapshot' | 'hardState' | 'mark'> & { readonly entries: readonly LogEntry[] }

/** What a directory holds of it before its store keeps one. */
export const NO_LOG: LogCopy = { entries: [], snapshot: undefined, hardState: undefined, mark: NO_LOG_MARK }

/** The members that an entry brings, if it brings any. */
export function membersOf({ command }: LogEntry): NonNullable<NodeStart['snapshot']>['members'] | undefined {
  if (command.do === 'found') return { voters: command.voters, learners: [] }
  return command.do === 'set-members' ? { voters: command.voters, learners: command.learners } : undefined
}
