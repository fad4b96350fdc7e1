/** Control's log over several voters: Raft, as a pure machine. */

export { isBehindMark, type LogMark, markOfLog, markOfVote, NO_LOG_MARK, newerMark, othersKeepLog } from './log-mark.ts'
export { RaftMachine, type RaftRequest } from './machine.ts'
export type { MembersChange } from './members.ts'
export type {
  HardState,
  Members,
  PersistRequest,
  RaftOptions,
  RaftPorts,
  RaftStart,
  Snapshot,
  SnapshotPort,
  SnapshotReader,
  SnapshotWriter,
} from './types.ts'
export type { FollowerView, RaftView } from './view.ts'
