/** The pure machines of a storage node. */

export { VersionTable } from './blocks/index.ts'
export type { Command, MakeLocalLog } from './control/index.ts'
export { applyCommand, MapState } from './control/index.ts'
export type * from './machine.ts'
export { NodeMachine } from './node-machine.ts'
export { Prng } from './prng.ts'
export {
  isBehindMark,
  keptLog,
  type LogMark,
  markOfLog,
  markOfVote,
  NO_LOG_MARK,
  newerMark,
  othersKeepLog,
} from './raft/index.ts'
export { DedupeWindows } from './replication/index.ts'
