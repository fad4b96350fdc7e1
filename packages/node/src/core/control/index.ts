/** Control: the map, the commands that change it, the log that orders them, and the leader that decides on them. */

export { EXTENTS_PER_TICK, type LeaderMessage } from './applier.ts'
export type { Command, LogEntry } from './commands.ts'
export type { ControlLog, ControlLogListener, ProposalId, ReadId } from './control-log.ts'
export { cutDelta, type DeltaSource } from './deltas.ts'
export { primaryStands, suspectsLeft } from './epochs.ts'
export { commandLevel, levelProblem, tooEarly } from './feature-levels.ts'
export { ControlLeader } from './leader.ts'
export type { AttachView, LeaseView } from './leader-view.ts'
export { generationOfSnapshot } from './map-snapshot.ts'
export { MapState } from './map-state.ts'
export { MapWatchers } from './map-watchers.ts'
export {
  type Certainty,
  type RebuiltExtent,
  type RebuiltMap,
  rebuildMap,
  recoverCommands,
  recoveredLog,
  type SurvivingStore,
} from './rebuild-map.ts'
export { applyCommand } from './reducer.ts'
export type { CommandResult, SetResult } from './result.ts'
export { SoloLog } from './solo-log.ts'
export { explainWaiting, type WaitingExtent } from './waiting.ts'
