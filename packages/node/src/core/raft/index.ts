/** Control's log over several voters: Raft, as a pure machine. */

export { isBehindMark, type LogMark, markOfLog, markOfVote, NO_LOG_MARK, newerMark, othersKeepLog } from './log-mark.ts'
export { RaftMachine, type RaftRequest } from './machine.ts'
export { RAFT_DEFAULTS, type RaftOptions } from './options.ts'
export type { HardState, PersistRequest, Snapshot } from './stored.ts'
export type { RaftPorts, RaftStart } from './types.ts'
export type { FollowerView, RaftView } from './view.ts'
