import type { StoreId, Voter } from '@ashlar/proto'
import type { HardState, PersistRequest } from './stored.ts'

/**
 * What a store voted and acknowledged, kept outside the log to detect an old copy of the log, even of the same term
 * (A2.20-2, raft pitfall 25). The shell writes it after the votes and entries are durable, and before messages that
 * depend on them.
 */
export interface LogMark {
  /** The highest term in which the store took part. */
  readonly term: number
  /** Its vote in that term. */
  readonly vote: StoreId | undefined
  /** The last entry that it made durable in that term, and may have acknowledged; 0: none. */
  readonly index: number
}

export const NO_LOG_MARK: LogMark = { term: 0, vote: undefined, index: 0 }

/** The mark once term and vote are durable. */
export function markOfVote(mark: LogMark, { term, vote }: HardState): LogMark {
  return term === mark.term ? { term, vote: vote ?? mark.vote, index: mark.index } : { term, vote, index: 0 }
}

/**
 * The mark once all of a request is durable. Entries of the current term come from its leader, which never takes them
 * back. Entries after those of this request are of an older term and may be dropped, so the mark does not cover them.
 */
export function markOfLog(mark: LogMark, { append, snapshot }: Omit<PersistRequest, 'token'>): LogMark {
  const written = append === undefined ? mark.index : append.from - 1 + append.entries.length
  return { ...mark, index: Math.max(written, snapshot?.index ?? 0) }
}

/** Combines two marks of one store. */
export function newerMark(a: LogMark, b: LogMark): LogMark {
  if (a.term !== b.term) return a.term > b.term ? a : b
  return { term: a.term, vote: a.vote ?? b.vote, index: Math.max(a.index, b.index) }
}

/** True when the log lacks something that the mark names: it is an old copy, or lost its end. */
export function isBehindMark(mark: LogMark, hardState: HardState | undefined, lastIndex: number): boolean {
  const { term, vote } = hardState ?? { term: 0, vote: undefined }
  if (term !== mark.term) return term < mark.term
  return lastIndex < mark.index || (mark.vote !== undefined && vote !== mark.vote)
}

/** True when the store kept a log, so that it has lost it where there is none (A2.20-5). */
export function keptLog({ term }: LogMark): boolean {
  return term > 0
}

/** True when other stores than `self` keep the log and can fill it again; a single voter must not start without it. */
export function othersKeepLog(voters: readonly Voter[], self: StoreId): boolean {
  return voters.some(({ store }) => store !== self)
}
