import { type LogEntry, NO_LOG_MARK } from '@ashlar/node/core'
import { type AdminCommand, type ClusterId, type ExtentRecord, isMissing, type Voter, volumeOf } from '@ashlar/proto'
import { newClusterId } from '../../../packages/node/src/core/bootstrap/cluster-id.ts'
import {
  type RebuiltMap,
  rebuildMap,
  recoveredLog,
  type SurvivingStore,
} from '../../../packages/node/src/core/control/index.ts'
import { HEALING_MS } from '../phases.ts'
import { VOLUME_NAME } from '../workload/client-driver.ts'
import { type Chance, courseOf } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import { World } from '../world/world.ts'
import { controlOutlives } from './lasting-faults.ts'

/** How often people look at the cluster that they made, and for how long they wait until it needs them no more. */
const LOOK_MS = 500
const PATIENCE_MS = 60_000
/** So long that nodes of the old cluster have dialed every address that they know. */
const STRANGERS_MS = 4000

/**
 * Most voters are lost for good, and people make a cluster of the data directories that are left (amendment 16), in
 * some seeds of a store that had fallen behind too. What a surviving store held that counted at the end must all be
 * there afterwards. In half of the seeds what was lost comes back later, as the old cluster with its majority: the two
 * refuse each other (amendment 35). Returns the new cluster, in the time of the old one; undefined where nothing would
 * be left to recover.
 */
export function recoverCluster(world: World, trace?: (line: string) => void): World | undefined {
  const { checkers, options } = world
  const chance = courseOf(options.seed, 'recovery')
  if (chance.happens(0.5)) world.runUntil(() => checkers.broken, chance.between(0, 3000))
  else world.runUntil(() => checkers.broken || world.healed(), HEALING_MS)
  const left = whoIsLeft(world, chance)
  if (left === undefined || checkers.broken) return undefined
  stop(world, left, chance)
  if (checkers.broken) return undefined
  return begin(world, left, chance, trace)
}

/**
 * Nodes with a minority of the voters, in any order, among which are good replicas of all extents, or in half of the
 * seeds at least of the last one: behind that none is known, and those before it that have none are missing (A2.18-6).
 */
function whoIsLeft(world: World, chance: Chance): NodeHost[] | undefined {
  const { nodes, checkers } = world
  const left: NodeHost[] = []
  const most = chance.integer(1, nodes.length - 1)
  for (const node of chance.inAnyOrder(nodes)) {
    if (controlOutlives(world, [...left, node])) left.push(node)
    if (left.length === most) break
  }
  const isGood = ({ disk }: NodeHost): boolean =>
    disk.suspicion.size + disk.incomplete.size === 0 && [...disk.replicas.values()].every((it) => it.damaged.size === 0)
  // A store whose place went to another one knows of the extent, and cannot serve it.
  const isKnown = ({ id, assigned }: ExtentRecord): boolean =>
    left.some(({ disk: { store, replicas } }) => {
      const known = replicas.get(id)?.head.record
      return known?.assigned.includes(store) === true && assigned.includes(store)
    })
  const extents = [...checkers.truth.map.extents.values()].sort((a, b) => a.id - b.id)
  const needed = chance.happens(0.5) ? extents : extents.slice(-1)
  return left.length > 0 && nodes.every(isGood) && needed.length > 0 && needed.every(isKnown) ? left : undefined
}

/** One of those that are left may have fallen behind; then all processes end. */
function stop(world: World, left: readonly NodeHost[], chance: Chance): void {
  const { nodes, clients, checkers } = world
  if (chance.happens(0.5)) {
    chance.pick(left).holdDown({ powerLoss: true })
    world.runUntil(() => checkers.broken, chance.between(100, 4000))
  }
  world.stopClients()
  for (const node of nodes) node.holdDown({ powerLoss: true })
  for (const { process } of clients) process.kill()
}

function begin(world: World, left: readonly NodeHost[], chance: Chance, trace?: (line: string) => void): World {
  const { checkers, options } = world
  const [first] = left as [NodeHost]
  const map = rebuildMap(left.map((node) => surveyOf(world, node)))
  const cluster = newClusterId(first.disk.store, () => chance.next())
  const voters: Voter[] = [{ store: first.disk.store, address: first.address }]
  const entries = recoveredLog(map, cluster, voters)
  for (const { disk } of left) adopt(disk, cluster, voters, disk === first.disk ? entries : undefined)
  const names = left.map(({ name, disk }) => ({ name, disk }))
  const returns = chance.happens(0.5)
  // Where the old cluster does not come back, the new nodes have the addresses of those that are lost (A2.18-7).
  const lost = world.nodes.filter((node) => !left.includes(node))
  const fresh = lost.map(({ name }, at) => ({ name: returns ? `m${at + 1}` : name }))
  const seed = chance.seed()
  const next = new World(
    { ...options, seed, operator: false, phases: [] },
    trace,
    world.heritageOf([...names, ...fresh]),
  )
  next.checkers.inherit(checkers, entries)
  next.checkers.recorder.note(`${left.map(({ name }) => name).join(' and ')} become cluster ${cluster}`)
  for (const { id } of lostExtents(world, left, map)) next.checkers.mayLose(id)
  for (const { disk } of left) world.disks.delete(disk.store)
  next.begin()
  if (returns) {
    bringBack(world, next, left, chance)
    next.runUntil(() => next.checkers.broken, STRANGERS_MS)
  }
  serve(next)
  return next
}

/** Extents of which no store is left that counted at the end: what was acknowledged of them may be lost. */
function lostExtents({ checkers }: World, left: readonly NodeHost[], { extents }: RebuiltMap): ExtentRecord[] {
  const { truth } = checkers
  const stores = new Set<string>(left.map(({ disk }) => disk.store))
  return [...truth.map.extents.values()].filter(({ id, inSync, eligible }) => {
    const isLeft = [...inSync, ...eligible].some((store) => stores.has(store))
    const certain = extents.some(({ record, certainty }) => record.id === id && certainty === 'certain')
    return !isLeft && !certain
  })
}

/** What the offline reader of a data directory says. */
function surveyOf({ checkers }: World, { disk }: NodeHost): SurvivingStore {
  const { counter, featureLevel, voters } = disk.identity
  const replicas = [...disk.replicas].map(([extent, { head }]) => ({ extent, head }))
  const volumes = [...new Set(replicas.map(({ extent }) => volumeOf(extent)))].map((volume) => {
    const own = replicas.filter(({ extent }) => volumeOf(extent) === volume)
    const lengths = own.map(({ head }) => head.record?.lengthBytes ?? 0)
    const known = checkers.truth.volume(volume)
    return { volume, name: known?.name ?? '', longestExtentBytes: Math.max(...lengths), replicas: known?.replicas ?? 1 }
  })
  return { store: disk.store, startCounter: counter, featureLevel, voters, replicas, volumes }
}

/** The directory belongs to the new cluster from here on; its old control log is set aside. */
function adopt(
  disk: NodeHost['disk'],
  cluster: ClusterId,
  voters: readonly Voter[],
  entries: readonly LogEntry[] | undefined,
): void {
  disk.log.putBack({ entries: entries ?? [], snapshot: undefined, hardState: undefined, mark: NO_LOG_MARK }, true)
  Object.assign(disk.identity, { cluster, voters, founded: entries !== undefined })
}

/** The old cluster, with most of its voters, in the network of the new one. Its own checkers go on looking at it. */
function bringBack(world: World, next: World, left: readonly NodeHost[], chance: Chance): void {
  for (const node of world.nodes) {
    if (left.includes(node)) continue
    const stranger = node.moved(next.network, world.checkers)
    next.clock.after(chance.between(0, 500), () => stranger.start())
  }
}

/**
 * An operator declares the absent stores lost, forces a primary of each missing extent and accepts the losses, until the
 * cluster needs none of this.
 */
function serve(next: World): void {
  const { checkers, clock, nodes, disks } = next
  const { map } = checkers.truth
  const until = clock.now + PATIENCE_MS
  const command = (asked: AdminCommand): void => nodes.find(({ up }) => up)?.process?.admin(asked, () => {})
  const absent = () => [...map.nodes.values()].filter(({ store }) => !disks.has(store) && !map.gone.has(store))
  const unaccepted = () => [...map.forced.values()].some(({ acknowledged }) => !acknowledged)
  const missing = () => [...map.extents.values()].filter(isMissing)
  const needed = (): boolean => absent().length > 0 || missing().length > 0 || unaccepted() || votersMissing(next)
  while (needed() && clock.now < until && !checkers.broken) {
    next.runUntil(() => checkers.broken, LOOK_MS)
    for (const { store } of absent()) command({ do: 'lose-store', store })
    for (const { id, assigned } of missing()) {
      const up = assigned.find((store) => map.nodes.get(store)?.state === 'up')
      if (up !== undefined) command({ do: 'force-primary', extent: id, store: up })
    }
    if (unaccepted()) command({ do: 'acknowledge-loss', name: VOLUME_NAME })
  }
  if (needed() && !checkers.broken)
    checkers.violation(
      'liveness',
      `${PATIENCE_MS} ms after its recovery the cluster waits for people: ${next.describe()}`,
    )
}

/**
 * All former voters are back, at their addresses, and do not all vote yet. Two stores had one address where a voter was
 * being replaced, and an even number of nodes leaves one of them a learner (A2.18-7).
 */
function votersMissing({ checkers, nodes }: World): boolean {
  const { formerVoters, voters } = checkers.truth.map
  const addresses = new Set(formerVoters.map(({ address }) => address))
  if (![...addresses].every((former) => nodes.some(({ address }) => address === former))) return false
  return voters.length < addresses.size - (1 - (addresses.size % 2))
}
