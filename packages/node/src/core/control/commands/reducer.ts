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
  'begin-term': () => done(),
  'set-members': applySetMembers,
}

/**
 * Applies one committed command to the map, in place. Deterministic: the same commands from the start give the same map,
 * on every voter and at every start. A refused command changes nothing, and the refusal is part of the outcome.
 */
export function applyCommand(state: MapState, command: Command): CommandResult {
  const steps = commandSteps(state, command)
  let step = steps.next()
  while (!step.done) step = steps.next()
  return { ...step.value, promoted: state.endCommand() }
}

/** The same, extent by extent, for those who do it in pieces (`CommandRun`); they end the command. */
export function* commandSteps(state: MapState, command: Command): Steps<CommandResult> {
  if (state.cluster === undefined && command.do !== 'found')
    return refused('CONFLICT', 'this cluster is not founded yet', 'wait until its first node founds it')
  const apply = APPLY[command.do] as Apply<Command['do']>
  const applied = apply(state, command)
  const result = 'code' in applied ? applied : yield* applied
  if (result.code === 'OK') yield* tidyUp(state, command)
  return result
}

/** The first entry of every control log. */
function applyFound(state: MapState, command: Extract<Command, { do: 'found' }>): CommandResult {
  if (state.cluster !== undefined && state.cluster !== command.cluster)
    return refused('CONFLICT', `cluster ${state.cluster} is founded already`)
  if (state.cluster === undefined) state.putCluster(command.cluster, command.voters)
  return done()
}

/** The log took the change of members when it was appended; the map tells everybody whom to ask. */
function applySetMembers(state: MapState, command: Extract<Command, { do: 'set-members' }>): CommandResult {
  if (state.cluster !== undefined) state.putCluster(state.cluster, command.voters)
  return done()
}
