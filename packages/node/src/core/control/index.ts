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
export { ControlLeader, EXTENTS_PER_TICK, explainWaiting } from './leader/index.ts'
export {
  type Command,
  type ControlLog,
  type ControlLogListener,
  type LogEntry,
  type Members,
  type MembersChange,
  type ProposalId,
  type ReadId,
  type SnapshotWriter,
  SoloLog,
} from './log/index.ts'
export { generationOfSnapshot, MapState, MapWatchers } from './map/index.ts'
