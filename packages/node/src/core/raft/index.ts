/** Control's log over several voters: Raft, as a pure machine. */

export {
  isBehindMark,
  keptLog,
  type LogMark,
  markOfLog,
  markOfVote,
  NO_LOG_MARK,
  newerMark,
  othersKeepLog,
} from './log-mark.ts'
export { RaftMachine } from './machine.ts'
export type { RaftOptions } from './options.ts'
export type { HardState, PersistRequest, Snapshot } from './stored.ts'
export type { RaftPorts } from './types.ts'
export type { RaftView } from './view.ts'
