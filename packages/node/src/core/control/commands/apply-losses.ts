import type { ExtentRecord, StoreId } from '@ashlar/proto'
import { extentIndexOf, volumeOf } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, volumeOfExtent, without } from '../map/index.ts'
import { giveUp, reconcileWaiting } from './apply-nodes.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import { choosePrimary, forcePrimary, primaryStands } from './epochs.ts'

type ForcePrimary = Extract<Command, { do: 'force-primary' }>
type LoseStore = Extract<Command, { do: 'lose-store' }>
type AcknowledgeLoss = Extract<Command, { do: 'acknowledge-loss' }>

/**
 * Forced promotion by an operator: makes a store primary of an extent that no store can serve, although it may lack
 * acknowledged writes (A2.10-2). The map records that a new timeline of the extent begins: older copies do not count.
 */
export function applyForcePrimary(state: MapState, command: ForcePrimary): CommandResult {
  const { extent, store } = command
  const record = state.extents.get(extent)
  if (record === undefined) return refused('NOT_FOUND', `there is no extent ${extent}`)
  const volume = volumeOfExtent(state, record)
  // The response was lost, and the command was repeated.
  if (state.forced.get(extent)?.epoch === record.epoch && record.primary.store === store) return done({ volume })
  const refusal = refuseForce(state, record, command)
  if (refusal !== undefined) return refusal
  forcePrimary(state, record, store)
  const { epoch } = state.extents.get(extent) as ExtentRecord
  state.putForced({ extent, epoch, store, acknowledged: false })
  return done({ volume })
}

function refuseForce(state: MapState, record: ExtentRecord, { store, live }: ForcePrimary): CommandResult | undefined {
  const name = (id: StoreId) => state.nodes.get(id)?.name ?? id
  const what = `extent ${extentIndexOf(record.id)} of ${volumeOfExtent(state, record).name}`
  if (primaryStands(state, record))
    return refused(
      'CONFLICT',
      `${name(record.primary.store)} serves ${what}`,
      'force a primary only for an extent that no store can serve',
    )
  const others = [...without(record.inSync, record.primary.store), ...record.eligible]
  const clean = choosePrimary(state, others, new Set(live))
  if (clean !== undefined)
    return refused(
      'CONFLICT',
      `${name(clean)} is up and holds every acknowledged write of ${what}: control will make it primary`,
      'wait a few seconds',
    )
  const node = state.nodes.get(store)
  if (node === undefined || node.state === 'down' || node.address === '' || !live.includes(store))
    return refused('CONFLICT', `${name(store)} is not up`, 'start it, or name a node that is up')
  if (!record.assigned.includes(store)) {
    const names = record.assigned.map(name).join(', ')
    return refused('CONFLICT', `${name(store)} holds no replica of ${what}`, `its replicas are on ${names}`)
  }
  return undefined
}

/**
 * An operator declares a store removed (amendment 15): it leaves every set with another trusted member, and its
 * assignments go to other stores. Where it is the last that holds every acknowledged write it stays, and the extent
 * waits for its return or for a forced promotion.
 */
export function* applyLoseStore(state: MapState, { store, live }: LoseStore): Steps<CommandResult> {
  const node = state.nodes.get(store)
  // The store has already left the map, so the request is done.
  if (node === undefined)
    return state.removedNodes.has(store) ? done() : refused('NOT_FOUND', `there is no store ${store}`)
  if (node.state !== 'down')
    return refused(
      'CONFLICT',
      `${node.name} is ${node.state}`,
      'stop it first: it can be declared lost once its lease ran out',
    )
  if (state.gone.has(store)) return done()
  state.putGone(store)
  yield* giveUp(state, store, new Set(live))
  yield* reconcileWaiting(state, store, new Set(live))
  return done()
}

/** Ends the warning on a volume; the map keeps the forced promotions. */
export function applyAcknowledgeLoss(state: MapState, command: AcknowledgeLoss): CommandResult {
  const volume = state.volumeNamed(command.name)
  if (volume === undefined) return refused('NOT_FOUND', `there is no volume ${command.name}`)
  for (const forced of [...state.forced.values()])
    if (volumeOf(forced.extent) === volume.id && !forced.acknowledged)
      state.putForced({ ...forced, acknowledged: true })
  return done({ volume })
}
