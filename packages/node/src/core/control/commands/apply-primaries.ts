import { FEATURES } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord } from '../map/index.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import { leaveWithoutPrimary, primaryStands, type Reason, reasonToReplace, replacePrimary } from './epochs.ts'

type Promote = Extract<Command, { do: 'promote' }>
type Release = Extract<Command, { do: 'release' }>

/** Names primaries for waiting extents. Skips those whose record changed, or whose primary can serve again. */
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
 * A primary releases extents (amendments 14 and 18). It stays primary where no other store can serve. A primary that
 * lost committed data, or whose store failed, also leaves the in-sync set where another trusted member exists (A2.8-4);
 * without one, the extent of a primary that lost committed data waits.
 *
 * Only a slow primary continues in the same epoch, so a late duplicate of its release could take effect. Such a release
 * therefore names one revision of the record, and raises it where it has no other effect (amendment 38).
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

/**
 * A slow store also leaves the set, or the next primary would wait for the same disk: from the level at which all
 * builds do it.
 */
function reasonOf({ featureLevel }: MapState, { reason }: Release): Reason {
  if (reason === 'behind' || reason === 'poisoned') return 'suspect'
  return reason === 'slow' && featureLevel >= FEATURES.slowLeaves ? 'slow' : 'released'
}
