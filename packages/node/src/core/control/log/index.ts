/** The log of control: what its entries say, and the ports over which its leader uses it. */

export type {
  ControlLog,
  ControlLogListener,
  LocalControlLog,
  MakeLocalLog,
  MembersChange,
  ProposalId,
  ReadId,
} from './control-log.ts'
export type { Candidates, Command, LogEntry, Members } from './log-entry.ts'
export type { SnapshotPort, SnapshotReader, SnapshotWriter } from './snapshot-port.ts'
export { type StoredNode, stateOfStored, storedState } from './stored-node.ts'
