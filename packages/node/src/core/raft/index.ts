/** Control's log over several voters: Raft, as a pure machine. */

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
