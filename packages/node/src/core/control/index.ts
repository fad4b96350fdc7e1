/** Control: the leader decides on commands, the log orders them, and they change the map. */

export {
  applyCommand,
  type Certainty,
  type CommandResult,
  commandLevel,
  levelProblem,
  primaryStands,
  type RebuiltExtent,
  type RebuiltMap,
  rebuildMap,
  recoverCommands,
  recoveredLog,
  type SetResult,
  type SurvivingStore,
  suspectsLeft,
  tooEarly,
} from './commands/index.ts'
export {
  type AttachView,
  ControlLeader,
  EXTENTS_PER_TICK,
  explainWaiting,
  type LeaseView,
  type WaitingExtent,
} from './leader/index.ts'
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
export { cutDelta, type DeltaSource, generationOfSnapshot, MapState, MapWatchers } from './map/index.ts'
