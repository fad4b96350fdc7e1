import type { StoreId, Voter } from '@ashlar/proto'
import type { HardState, PersistRequest } from './stored.ts'

/**
 * What a store has said in the control log, kept beside the log and not in it: an old copy of the log that is put in its place
 * is found out by it, also one of the same term (A2.20-2, raft pitfall 25). A shell writes it after what it stands for is durable and
 * before anything of that is told to others.
 */
export interface LogMark {
  /** The highest term in which the store took part. */
  readonly term: number
  /** For whom it voted in that term. */
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
 * The mark once all of a request is durable. What is written in a term comes from the leader of that term, which never takes
 * it back; an end of the log that this request does not name is of an older term, and may still be dropped.
 */
export function markOfLog(mark: LogMark, { append, snapshot }: Omit<PersistRequest, 'token'>): LogMark {
  const written = append === undefined ? mark.index : append.from - 1 + append.entries.length
  return { ...mark, index: Math.max(written, snapshot?.index ?? 0) }
}

/** What two marks of one store tell together. */
export function newerMark(a: LogMark, b: LogMark): LogMark {
  if (a.term !== b.term) return a.term > b.term ? a : b
  return { term: a.term, vote: a.vote ?? b.vote, index: Math.max(a.index, b.index) }
}

/** True when the log lacks something that its store has said: it is an old copy, or lost its end. */
export function isBehindMark(mark: LogMark, hardState: HardState | undefined, lastIndex: number): boolean {
  const { term, vote } = hardState ?? { term: 0, vote: undefined }
  if (term !== mark.term) return term < mark.term
  return lastIndex < mark.index || (mark.vote !== undefined && vote !== mark.vote)
}

/** By what the data directory tells, other stores keep the log too, and can fill it again; a lone voter must not start without it. */
export function othersKeepLog(voters: readonly Voter[]): boolean {
  return voters.length > 1
}
