import type { Promises } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, type Steps } from './command-result.ts'
import { nameAbove, primaryStands } from './epochs.ts'

/**
 * Epochs that stores promised and this log never named (amendment 35): most voters were rolled back. No store can lead
 * an epoch below a promise, so control continues above it.
 */

type RaiseEpochs = Extract<Command, { do: 'raise-epochs' }>

/** The command for such promises; undefined if the map has since reached them. */
export function raiseEpochs(ctx: Context, state: MapState, { store, extents }: Promises): RaiseEpochs | undefined {
  const forgotten = extents.filter((promise) => isForgotten(state, promise))
  if (forgotten.length === 0) return undefined
  ctx.event('error', 'control-went-back', { store, extents: forgotten.length, revision: state.revision })
  return { do: 'raise-epochs', extents: forgotten }
}

/** Names the same primaries in epochs that were never promised. */
export function* applyRaiseEpochs(state: MapState, command: RaiseEpochs): Steps<CommandResult> {
  for (const promise of command.extents) {
    yield
    if (isForgotten(state, promise)) nameAbove(state, promise.extent, promise.promised)
  }
  return done()
}

/** An extent without a primary is skipped: its next primary learns of the promise. */
function isForgotten(state: MapState, { extent, epoch, promised }: Promises['extents'][number]): boolean {
  const record = state.extents.get(extent)
  return record !== undefined && record.epoch === epoch && promised > epoch && primaryStands(state, record)
}
