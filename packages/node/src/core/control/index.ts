/** Control: the leader decides on commands, the log orders them, and they change the map. */

export {
  applyCommand,
  type CommandResult,
  commandLevel,
  levelProblem,
  primaryStands,
  type RebuiltExtent,
  type RebuiltMap,
  rebuildMap,
  recoverCommands,
  recoveredLog,
  type SurvivingStore,
  suspectsLeft,
} from './commands/index.ts'
export { ControlLeader, EXTENTS_PER_TICK, explainWaiting, type HeldSession } from './leader/index.ts'
export type {
  Command,
  ControlLog,
  ControlLogListener,
  LocalControlLog,
  LogEntry,
  MakeLocalLog,
  Members,
  MembersChange,
  ProposalId,
  ReadId,
  SnapshotWriter,
} from './log/index.ts'
export { generationOfSnapshot, MapState, MapWatchers, mapSnapshots } from './map/index.ts'
