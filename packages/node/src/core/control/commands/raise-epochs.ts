import type { Promises } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, type Steps } from './command-result.ts'
import { nameAbove, primaryStands } from './epochs.ts'

/**
 * Epochs that were promised and that this log never named (amendment 35): control's log went back, with most of its voters. What
 * it names below a promise no store can lead, so that it goes on above it.
 */

type RaiseEpochs = Extract<Command, { do: 'raise-epochs' }>

/** The command that such promises call for; undefined where the map has moved on, as it has when it was only behind. */
export function raiseEpochs(ctx: Context, state: MapState, { store, extents }: Promises): RaiseEpochs | undefined {
  const forgotten = extents.filter((promise) => isForgotten(state, promise))
  if (forgotten.length === 0) return undefined
  ctx.event('error', 'control-went-back', { store, extents: forgotten.length, revision: state.revision })
  return { do: 'raise-epochs', extents: forgotten }
}

/** The same primary again, in an epoch that was never promised. */
export function* applyRaiseEpochs(state: MapState, command: RaiseEpochs): Steps<CommandResult> {
  for (const promise of command.extents) {
    yield
    if (isForgotten(state, promise)) nameAbove(state, promise.extent, promise.promised)
  }
  return done()
}

/** An extent without a primary is left alone: whoever is named next is told of the promise. */
function isForgotten(state: MapState, { extent, epoch, promised }: Promises['extents'][number]): boolean {
  const record = state.extents.get(extent)
  return record !== undefined && record.epoch === epoch && promised > epoch && primaryStands(state, record)
}
