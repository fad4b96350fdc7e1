/** What each command of the log does to the map: the same on every voter. */

export { commandOf, isLogRequest, type LogRequest, registerCommand } from './admin-commands.ts'
export { attachedBy, joinsSharers, notResumed } from './apply-attachments.ts'
export { knownRefusal } from './apply-nodes.ts'
export { clearSuspicion } from './clear-suspicion.ts'
export { type CommandResult, done, refused, type SetResult } from './command-result.ts'
export { CommandRun } from './command-run.ts'
export {
  canBeReconciled,
  choosePrimary,
  gaveUp,
  isTrusted,
  type Live,
  primaryStands,
  suspectsLeft,
} from './epochs.ts'
export { commandLevel, knownToAll, levelProblem, tooEarly, type WaitedFor, withoutComplete } from './feature-levels.ts'
export { dueNote } from './note-ending.ts'
export { raiseEpochs } from './raise-epochs.ts'
export {
  type RebuiltExtent,
  type RebuiltMap,
  rebuildMap,
  recoverCommands,
  recoveredLog,
  type SurvivingStore,
} from './rebuild-map.ts'
export { applyCommand } from './reducer.ts'
