import { FEATURES } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord } from '../map/index.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import { leaveWithoutPrimary, primaryStands, type Reason, reasonToReplace, replacePrimary } from './epochs.ts'

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
 *
 * Only one that was slow goes on in the same epoch. What it said then must not be heard again, also by a leader that never
 * heard it: such a release speaks of one record, and moves that on where it has no effect (amendment 38).
 */
export function* applyRelease(state: MapState, command: Release): Steps<CommandResult> {
  const node = state.nodes.get(command.store)
  if (node === undefined || node.incarnation.counter !== command.counter)
    return refused('NOT_FOUND', `store ${command.store} is not registered with start counter ${command.counter}`)
  const reason = reasonOf(state, command)
  const isNamed = command.reason === 'slow' && state.featureLevel >= FEATURES.namedReleases
  let overtaken = false
  for (const { extent, epoch, revision, avoid } of command.extents) {
    yield
    const record = state.extents.get(extent)
    const holds =
      record?.primary.store === command.store && record.primary.counter === command.counter && record.epoch === epoch
    if (!holds) continue
    if (isNamed && record.revision !== revision) {
      overtaken = true
      continue
    }
    const live = new Set(command.live.filter((store) => avoid?.includes(store) !== true))
    if (replacePrimary(state, extent, reason, live)) continue
    if (command.reason === 'behind') leaveWithoutPrimary(state, extent)
    if (isNamed) putExtentRecord(state, record)
  }
  return done(overtaken ? { overtaken } : {})
}

/** A successor waits as long again for a disk that hangs, so the set shrinks at once: from the level at which all builds do so. */
function reasonOf({ featureLevel }: MapState, { reason }: Release): Reason {
  if (reason === 'behind' || reason === 'poisoned') return 'doubtful'
  return reason === 'slow' && featureLevel >= FEATURES.slowLeaves ? 'slow' : 'released'
}
