import type { ExtentRecord, SetChange, StoreId } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord, replaceInSync, volumeOfExtent } from '../map/index.ts'
import { type CommandResult, done, type SetResult, type Steps } from './command-result.ts'
import { countsOn } from './epochs.ts'

type ChangeSets = Extract<Command, { do: 'change-sets' }>

/** Changes in-sync sets for a primary (A2.7), each by compare-and-set on revision and epoch (CTL-1). */
export function* applyChangeSets(state: MapState, command: ChangeSets): Steps<CommandResult> {
  const sets: SetResult[] = []
  for (const change of command.changes) {
    sets.push(changeSet(state, command, change))
    yield
  }
  return done({ sets })
}

function changeSet(state: MapState, command: ChangeSets, change: SetChange): SetResult {
  const record = state.extents.get(change.extent)
  if (record === undefined) return { extent: change.extent, code: 'NOT_FOUND', record: undefined }
  const answer = (code: SetResult['code'], after = record): SetResult => ({
    extent: change.extent,
    code,
    record: after,
  })
  if (!isPrimary(state, command, record) || record.epoch !== change.epoch) return answer('NOT_PRIMARY')
  // A repetition of the last change, whose response was lost.
  if (record.revision === change.revision + 1 && sameSet(record.inSync, change.inSync)) return answer('OK')
  if (record.revision !== change.revision) return answer('CONFLICT')
  if (!isPossibleSet(state, record, change.inSync)) return answer('USAGE')
  // A change to the same set raises the revision too: a primary cancels an earlier addition by it.
  const { minInSync } = volumeOfExtent(state, record)
  const sets = replaceInSync(record, change.inSync, minInSync)
  const complete = sets.inSync.length < minInSync ? (change.complete ?? []) : []
  const kept = complete.filter((store) => mayKeep(state, record, change, store))
  const eligible = [...new Set([...sets.eligible, ...kept])]
  return answer('OK', putExtentRecord(state, { ...record, inSync: sets.inSync, eligible }))
}

/** The primary vouches for the data of a store; control still checks its trust and its assignment. */
function mayKeep(state: MapState, { assigned }: ExtentRecord, { inSync }: SetChange, store: StoreId): boolean {
  return assigned.includes(store) && !inSync.includes(store) && countsOn(state, store)
}

/** True when the sender is the incarnation that the record names, and control knows no later one. */
function isPrimary(state: MapState, command: ChangeSets, record: ExtentRecord): boolean {
  const { primary } = record
  const counter = state.nodes.get(command.store)?.incarnation.counter
  return primary.store === command.store && primary.counter === command.counter && counter === command.counter
}

/** CTL-3 and A2.7: not empty, contains the primary, every member is registered and assigned, none is named twice. */
function isPossibleSet(state: MapState, record: ExtentRecord, inSync: readonly StoreId[]): boolean {
  return (
    new Set(inSync).size === inSync.length &&
    inSync.includes(record.primary.store) &&
    inSync.every((store) => record.assigned.includes(store) && state.nodes.has(store))
  )
}

function sameSet(a: readonly StoreId[], b: readonly StoreId[]): boolean {
  return a.length === b.length && a.every((store) => b.includes(store))
}
