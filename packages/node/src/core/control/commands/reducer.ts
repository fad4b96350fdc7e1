import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { applyAttach, applyDetach } from './apply-attachments.ts'
import { applyAcknowledgeLoss, applyForcePrimary, applyLoseStore } from './apply-losses.ts'
import { applyExpire, applyRegister } from './apply-nodes.ts'
import { applyPromote, applyRelease } from './apply-primaries.ts'
import { applyRecover } from './apply-recover.ts'
import { applyChangeSets } from './apply-sets.ts'
import { applyCreateVolume, applyRemoveVolume } from './apply-volumes.ts'
import { applyClearSuspicion } from './clear-suspicion.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import { applyRaiseFeatureLevel } from './feature-levels.ts'
import { applyNoteEnding } from './note-ending.ts'
import { applyRaiseEpochs } from './raise-epochs.ts'
import { tidyUp } from './replacement.ts'

type Apply<Name extends Command['do']> = (
  state: MapState,
  command: Extract<Command, { do: Name }>,
) => CommandResult | Steps<CommandResult>

const APPLY: { readonly [Name in Command['do']]: Apply<Name> } = {
  found: applyFound,
  register: applyRegister,
  expire: applyExpire,
  promote: applyPromote,
  'change-sets': applyChangeSets,
  release: applyRelease,
  'create-volume': applyCreateVolume,
  'remove-volume': applyRemoveVolume,
  attach: applyAttach,
  detach: applyDetach,
  'force-primary': applyForcePrimary,
  'lose-store': applyLoseStore,
  'acknowledge-loss': applyAcknowledgeLoss,
  recover: applyRecover,
  'raise-feature-level': applyRaiseFeatureLevel,
  'raise-epochs': applyRaiseEpochs,
  'clear-suspicion': applyClearSuspicion,
  'note-ending': applyNoteEnding,
  'begin-term': () => done(),
  'set-members': applySetMembers,
}

/**
 * Applies one committed command to the map, in place. Deterministic: the same commands give the same map on every
 * voter. A refused command changes nothing; its result says why.
 */
export function applyCommand(state: MapState, command: Command): CommandResult {
  const steps = commandSteps(state, command)
  let step = steps.next()
  while (!step.done) step = steps.next()
  return { ...step.value, promoted: state.endCommand() }
}

/** The same in steps of one extent, for `CommandRun`, which then calls `endCommand` itself. */
export function* commandSteps(state: MapState, command: Command): Steps<CommandResult> {
  if (state.cluster === undefined && command.do !== 'found')
    return refused('CONFLICT', 'this cluster is not bootstrapped yet', 'wait until its first node has bootstrapped it')
  const apply = APPLY[command.do] as Apply<Command['do']>
  const applied = apply(state, command)
  const result = 'code' in applied ? applied : yield* applied
  if (result.code === 'OK') yield* tidyUp(state, command)
  return result
}

/** Bootstrap: the first entry of every control log. */
function applyFound(state: MapState, command: Extract<Command, { do: 'found' }>): CommandResult {
  if (state.cluster !== undefined && state.cluster !== command.cluster)
    return refused('CONFLICT', `this is cluster ${state.cluster} already`)
  if (state.cluster === undefined) state.putCluster(command.cluster, command.voters)
  return done()
}

/** Raft changed its members when it appended the entry; here the map learns the voters, for the agents. */
function applySetMembers(state: MapState, command: Extract<Command, { do: 'set-members' }>): CommandResult {
  if (state.cluster !== undefined) state.putCluster(state.cluster, command.voters)
  return done()
}
