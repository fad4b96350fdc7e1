import {
  type ExtentId,
  type ExtentRecord,
  extentIndexOf,
  type ForcedPromotion,
  isMissing,
  type MapCopy,
  NO_INCARNATION,
  type NodeRecord,
  type StoreId,
  type VolumeRecord,
  volumeOf,
} from '@ashlar/proto'
import { primaryStands, suspectsLeft } from '../core/control/index.ts'
import type { ReconcilePhase } from '../core/replication/index.ts'

/**
 * Health. Of an extent:
 * - `healthy`: all M replicas are in sync.
 * - `recovering`: it serves, and every missing replica is being filled right now.
 * - `degraded`: it serves, and at least one missing replica is not being filled, or writes are refused for lack of space.
 * - `unavailable`: reads or writes wait, because no primary serves it yet or any more, or fewer than minInSync replicas are in sync.
 * - `unknown`: the node that reports is cut off from control, so its map may be old.
 *
 * A volume is as its worst extent, at best `degraded` while a loss is not acknowledged. A cluster is as its worst volume, at best `degraded` while a node is down, and
 * `unavailable` without control.
 */
export const HEALTH_STATES = ['healthy', 'recovering', 'degraded', 'unavailable', 'unknown'] as const
export type HealthState = (typeof HEALTH_STATES)[number]

/** The worst of them; `healthy` when there are none. */
export function worst(states: Iterable<HealthState>): HealthState {
  let found = 0
  for (const state of states) found = Math.max(found, HEALTH_STATES.indexOf(state))
  return HEALTH_STATES[found] ?? 'healthy'
}

/** Why something is not healthy. */
export interface Cause {
  /** What is wrong; empty when it is healthy. */
  readonly problem: string
  /** What ends it without an operator, or has to come back. */
  readonly waitsFor: readonly string[]
  /** Both as one sentence. */
  readonly reason: string
}

export interface ExtentHealth extends Cause {
  readonly state: HealthState
}

const WELL: Cause = { problem: '', waitsFor: [], reason: '' }

function cause(problem: string, waitsFor: readonly string[] = [], reason?: string): Cause {
  const waits = waitsFor.length === 0 ? '' : `: it waits for ${waitsFor.join(', and for ')}`
  return { problem, waitsFor, reason: reason ?? `${problem}${waits}` }
}

/** What the reporting node can say of the present, beside its map. */
export interface Reach {
  /** Why its map may be old; absent while it is current. */
  readonly lost?: Cause
  /** The map counts the store as up, and this node receives nothing from it. */
  isSilent(store: StoreId): boolean
  /** What writes with a replica there are refused for lack of space; undefined where none are. */
  readonly refusal?: (store: StoreId) => string | undefined
}

/** The map alone. */
const MAP_ONLY: Reach = { isSilent: () => false }

/** What is known of one stream from the primary of an extent to another replica. */
export interface Progress {
  readonly joining: boolean
  /** Undefined until the two ends of the stream were compared. */
  readonly behindBlocks: number | undefined
  /** The copy is throttled, because clients are served. */
  readonly throttled?: boolean
  /** Phase of this store while the primary reconciles the extent, before it has streams; absent otherwise. */
  readonly reconciling?: ReconcilePhase
}

/** Progress of the replicas of one extent, by store; undefined when the primary's node could not be asked. */
export type ProgressOf = (extent: ExtentId) => ReadonlyMap<StoreId, Progress> | undefined

export function extentHealth(
  map: MapCopy,
  volume: VolumeRecord,
  extent: ExtentRecord,
  progressOf: ProgressOf,
  reach: Reach = MAP_ONLY,
): ExtentHealth {
  if (reach.lost !== undefined) return { state: 'unknown', ...reach.lost }
  const health = standingHealth(map, volume, extent, progressOf, reach)
  const refusals = extent.inSync.flatMap((store) => reach.refusal?.(store) ?? [])
  if (refusals.length === 0 || health.state === 'unavailable') return health
  const problem = [health.problem, ...refusals].filter((each) => each !== '').join('; ')
  const reason = [health.reason, ...refusals].filter((each) => each !== '').join('; ')
  return { state: 'degraded', problem, waitsFor: health.waitsFor, reason }
}

/** By the standing of its replicas, whatever their disks refuse. */
function standingHealth(
  map: MapCopy,
  volume: VolumeRecord,
  extent: ExtentRecord,
  progressOf: ProgressOf,
  reach: Reach,
): ExtentHealth {
  const progress = progressOf(extent.id)
  const blocked =
    reconcileReason(map, extent, progress) ??
    blockedReason(map, volume, extent) ??
    silenceReason(map, volume, extent, reach)
  if (blocked !== undefined) return { state: 'unavailable', ...blocked }
  const silent = extent.inSync.filter((store) => reach.isSilent(store))
  if (silent.length > 0) return { state: 'degraded', ...cause(describeSilence(map, silent)) }
  const missing = extent.assigned.filter((store) => !extent.inSync.includes(store))
  if (missing.length === 0) return { state: 'healthy', ...WELL }
  const waiting = missing.filter((store) => progress?.get(store)?.joining !== true)
  if (waiting.length === 0) {
    const throttled = missing.some((store) => progress?.get(store)?.throttled === true)
    const pace = throttled ? ', throttled while clients are served' : ''
    const names = namesOf(map, missing)
    const copying = cause(
      `${names} ${isOrAre(missing)} not in sync yet`,
      [`the copy to ${names}${pace}`],
      `copying to ${names}${pace}`,
    )
    return { state: 'recovering', ...copying }
  }
  return { state: 'degraded', ...cause(`${namesOf(map, waiting)} ${isOrAre(waiting)} not in sync`) }
}

/**
 * Why reads or writes wait although the map has no failure yet: control removes a store from the in-sync set, or replaces a
 * primary, once its lease ended.
 */
function silenceReason(map: MapCopy, volume: VolumeRecord, extent: ExtentRecord, reach: Reach): Cause | undefined {
  const silent = extent.inSync.filter((store) => reach.isSilent(store))
  const primary = extent.primary.store
  if (reach.isSilent(primary)) {
    const others = extent.inSync.length + extent.eligible.length > 1
    const name = nodeName(map, primary)
    return cause(`its primary ${describeSilence(map, [primary])}`, [others ? 'control to name another primary' : name])
  }
  const left = extent.inSync.length - silent.length
  if (left >= volume.minInSync) return undefined
  return cause(
    `${describeSilence(map, silent)}: ${left} of its ${extent.inSync.length} in-sync replicas ${left === 1 ? 'responds' : 'respond'}, and writes need ${volume.minInSync}`,
  )
}

/** Of stores that no frames arrive from, while their leases have not ended. */
export function describeSilence(map: MapCopy, silent: readonly StoreId[]): string {
  const counted = silent.length === 1 ? 'is counted until its lease ends' : 'are counted until their leases end'
  return `${namesOf(map, silent)} ${silent.length === 1 ? 'does' : 'do'} not respond, and ${counted}`
}

/** How far the reconcile of an extent is of which only suspect stores are left; undefined where there is none. */
function reconcileReason(
  map: MapCopy,
  extent: ExtentRecord,
  progress: ReadonlyMap<StoreId, Progress> | undefined,
): Cause | undefined {
  if (!primaryStands(map, extent)) {
    const left = suspectsLeft(map, extent)
    if (left === undefined) return undefined
    const away = awaitedToReconcile(map, extent)
    const problem = `only suspect stores of it are left, and the contents of ${namesOf(map, left)} must be reconciled`
    if (away.length > 0) return cause(problem, [namesOf(map, away)])
    const naming = 'control is naming the store that reconciles them'
    return cause(problem, ['control to name the store that reconciles them'], `${problem}: ${naming}`)
  }
  const sources = [...(progress ?? [])].filter(([, { reconciling }]) => reconciling !== undefined)
  if (sources.length === 0) return undefined
  const stores = sources.map(([store]) => store)
  const inPhase = (phase: ReconcilePhase) => stores.filter((store) => progress?.get(store)?.reconciling === phase)
  const primary = nodeName(map, extent.primary.store)
  const waitsFor = [
    ...inPhase('closed').map((store) => `${nodeName(map, store)}, to which ${primary} has no connection`),
    ...inPhase('reading').map((store) => `${nodeName(map, store)}, which reads and verifies everything it holds`),
  ]
  const problem = `only suspect stores of it are left, and ${primary} reconciles the contents of ${namesOf(map, stores)}`
  if (waitsFor.length > 0) return cause(problem, waitsFor)
  return cause(
    problem,
    [`${primary}, which compares them block by block`],
    `${problem}: it compares them block by block`,
  )
}

/** Suspect stores that must be online before control starts the reconcile. */
export function awaitedToReconcile(map: MapCopy, extent: ExtentRecord): StoreId[] {
  const left = primaryStands(map, extent) ? undefined : suspectsLeft(map, extent)
  return (left ?? []).filter((store) => map.nodes.get(store)?.state === 'down')
}

/** Why an extent waits for an operator that `cluster recover` did not find (A2.18-6). */
export const MISSING = 'none of its stores was among the directories that the cluster was recovered from'

/** Why reads or writes of an extent wait, or undefined when they do not. */
function blockedReason(map: MapCopy, volume: VolumeRecord, extent: ExtentRecord): Cause | undefined {
  if (isMissing(extent)) return cause(MISSING)
  const primary = map.nodes.get(extent.primary.store)
  const name = nodeName(map, extent.primary.store)
  if (primary === undefined || primary.state === 'down') {
    const candidates = [...extent.inSync, ...extent.eligible].filter((store) => map.nodes.get(store)?.state === 'up')
    if (candidates.length > 0) {
      const problem = `its primary ${name} is down`
      return cause(problem, ['control to name another primary'], `${problem}, and control is naming another one`)
    }
    const lost = map.gone.has(extent.primary.store) ? 'declared permanently lost' : 'down'
    return cause(`its primary ${name} is ${lost}, and no other replica holds every acknowledged write`, [name])
  }
  if (extent.primary.counter === NO_INCARNATION) {
    return cause(
      `${name} lost acknowledged writes that another replica has evidence of, and released the extent: no other replica holds all of them`,
    )
  }
  if (primary.incarnation.counter !== extent.primary.counter) {
    const problem = `its primary ${name} has restarted`
    return cause(problem, ['control to name the next primary'], `${problem}, and control is naming the next one`)
  }
  if (extent.inSync.length < volume.minInSync) {
    return cause(`${extent.inSync.length} of ${volume.replicas} replicas in sync, and writes need ${volume.minInSync}`)
  }
  return undefined
}

export interface VolumeHealth {
  readonly state: HealthState
  readonly extents: Readonly<Record<HealthState, number>>
  /** Different reasons of extents that are not healthy, each once. */
  readonly reasons: readonly string[]
  /** The same, in their parts. */
  readonly causes: readonly Cause[]
  /** Number of the first extent that cannot be read or written. */
  readonly firstUnavailable: number | undefined
  /** Fewest replicas in sync of any extent. */
  readonly fewestInSync: number
}

export function volumeHealth(
  map: MapCopy,
  volume: VolumeRecord,
  progressOf: ProgressOf,
  reach: Reach = MAP_ONLY,
): VolumeHealth {
  const extents = { healthy: 0, recovering: 0, degraded: 0, unavailable: 0, unknown: 0 }
  const causes = new Map<string, Cause>()
  let firstUnavailable: number | undefined
  let fewestInSync = Number.POSITIVE_INFINITY
  for (const extent of map.extentsOf(volume.id)) {
    const { state, ...why } = extentHealth(map, volume, extent, progressOf, reach)
    extents[state]++
    if (state === 'unavailable') firstUnavailable ??= extentIndexOf(extent.id)
    if (why.reason !== '') causes.set(why.reason, why)
    fewestInSync = Math.min(fewestInSync, extent.inSync.length)
  }
  const loss = lossReason(map, volume)
  if (loss !== undefined) causes.set(loss, cause(loss))
  const present = HEALTH_STATES.filter((state) => extents[state] > 0)
  // A volume whose extents have not reached this copy of the map is not known to be well.
  const none = reach.lost === undefined ? 'unavailable' : 'unknown'
  const state = present.length === 0 ? none : worst([...present, loss === undefined ? 'healthy' : 'degraded'])
  return {
    ...{ state, extents, reasons: [...causes.keys()], causes: [...causes.values()], firstUnavailable },
    fewestInSync: Number.isFinite(fewestInSync) ? fewestInSync : 0,
  }
}

/** Forced promotions and reconciles of suspect stores of a volume, by extent. */
export function forcedOf(map: MapCopy, volume: VolumeRecord): ForcedPromotion[] {
  return [...map.forced.values()]
    .filter(({ extent }) => volumeOf(extent) === volume.id)
    .sort((a, b) => a.extent - b.extent)
}

/** Reports that acknowledged writes may be lost, until an operator acknowledges it. */
function lossReason(map: MapCopy, volume: VolumeRecord): string | undefined {
  const open = forcedOf(map, volume).filter(({ acknowledged }) => !acknowledged)
  if (open.length === 0) return undefined
  const which = open.slice(0, 10).map(({ extent }) => extentIndexOf(extent))
  const more = open.length > which.length ? ` and ${open.length - which.length} more` : ''
  const how = [
    ...(open.every(({ merged }) => merged === true) ? [] : ['had a primary forced']),
    ...(open.some(({ merged }) => merged === true)
      ? [`${open.length === 1 ? 'was' : 'were'} reconciled from suspect stores`]
      : []),
  ]
  return `acknowledged writes may be lost in ${open.length === 1 ? 'extent' : 'extents'} ${which.join(', ')}${more}, which ${how.join(' or ')}`
}

/** Name of a store's node; the id of the store when the map does not have it. */
export function nodeName(map: MapCopy, store: StoreId): string {
  return map.nodes.get(store)?.name ?? store
}

function isOrAre(things: readonly unknown[]): string {
  return things.length === 1 ? 'is' : 'are'
}

function namesOf(map: MapCopy, stores: readonly StoreId[]): string {
  return stores.map((store) => nodeName(map, store)).join(', ')
}

/**
 * The nodes that count: a store whose name and address another one took over is history once no extent names it any more.
 */
export function nodesThatCount(map: MapCopy): NodeRecord[] {
  const named = new Set<StoreId>()
  for (const extent of map.extents.values())
    for (const store of [...extent.assigned, ...extent.inSync, ...extent.eligible]) named.add(store)
  return [...map.nodes.values()].filter((node) => node.address !== '' || named.has(node.store))
}
