import { FEATURES } from '@ashlar/proto'
import type { Command } from './commands.ts'
import { leaveWithoutPrimary, primaryStands, type Reason, reasonToReplace, replacePrimary } from './epochs.ts'
import type { MapState } from './map-state.ts'
import { type CommandResult, done, refused, type Steps } from './result.ts'

type Promote = Extract<Command, { do: 'promote' }>
type Release = Extract<Command, { do: 'release' }>

/** Names primaries for extents that wait. One whose record moved on, or whose primary stands again, is left alone. */
export function* applyPromote(state: MapState, command: Promote): Steps<CommandResult> {
  const live = new Set(command.live)
  for (const { extent, revision } of command.extents) {
    yield
    const record = state.extents.get(extent)
    if (record === undefined || record.revision !== revision || primaryStands(state, record)) continue
    replacePrimary(state, extent, reasonToReplace(state, record), live)
  }
  return done()
}

/**
 * A primary gives extents up (amendments 14 and 18). Where nobody else can serve, it stays primary and may go on. One that
 * lost committed data, or whose store failed, also leaves the in-sync set where another trusted member exists (A2.8-4); where
 * none does, the extent of one that lost committed data waits.
 */
export function* applyRelease(state: MapState, command: Release): Steps<CommandResult> {
  const node = state.nodes.get(command.store)
  if (node === undefined || node.incarnation.counter !== command.counter)
    return refused('NOT_FOUND', `store ${command.store} is not registered with start counter ${command.counter}`)
  const reason = reasonOf(state, command)
  for (const { extent, epoch, avoid } of command.extents) {
    yield
    const record = state.extents.get(extent)
    const holds =
      record?.primary.store === command.store && record.primary.counter === command.counter && record.epoch === epoch
    const live = new Set(command.live.filter((store) => avoid?.includes(store) !== true))
    if (!holds) continue
    const replaced = replacePrimary(state, extent, reason, live)
    if (!replaced && command.reason === 'behind') leaveWithoutPrimary(state, extent)
  }
  return done()
}

/** A successor waits as long again for a disk that hangs, so the set shrinks at once: from the level at which all builds do so. */
function reasonOf({ featureLevel }: MapState, { reason }: Release): Reason {
  if (reason === 'behind' || reason === 'poisoned') return 'doubtful'
  return reason === 'slow' && featureLevel >= FEATURES.slowLeaves ? 'slow' : 'released'
}
