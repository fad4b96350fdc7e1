import { TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Chance } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import { hangPrimary } from './lasting-faults.ts'
import { NotFollowed, Stage } from './stage.ts'

/** So many blocks that most are not written in a second. */
const MANY_BLOCKS = { sizeBytes: 400 * BLOCK_BYTES, hotBytes: 400 * BLOCK_BYTES }

/** Somewhere between the first block that is taken over and the last, where each read takes 40 ms. */
const RECONCILING_MS = 400

/** Power goes, and what was synced since its disk began to remember is there no more, or a part of it. */
function loseRecords(node: NodeHost): void {
  if (node.up) node.crash({ powerLoss: true })
  if (!node.disk.dropWrites(new Chance(1))) throw new NotFollowed('there was nothing to drop')
}

/**
 * A replica dropped synced records, and all that it holds has rotted under versions that are right. It is suspect, and
 * reads all its bytes before it counts again; of two replicas of which one only seems to be a copy there is one.
 */
export function rottenSuspect(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2, ...MANY_BLOCKS }).movePrimaryFromVoter()
  const { replica, world } = stage
  const { disk } = replica
  stage.run(5000)
  disk.rememberWrites()
  stage.run(300)
  loseRecords(replica)
  for (const image of disk.replicas.values()) for (const { block } of image.blocks()) image.rot(block)
  replica.start()
  stage.until('it counts again', () => stage.record.inSync.includes(disk.store) && world.healed())
  const left = [...disk.replicas.values()].reduce((sum, { damaged }) => sum + damaged.size, 0)
  if (left > 0) world.checkers.violation('convergence', `${left} blocks of ${replica.name} are still rotten`)
  return stage.run(2000).finish()
}

/**
 * Versions of a replica are older ones under its digests, and its scrub finds it. The store ends, and each start meets them
 * again: it has to be compared in an incarnation that does not end for them.
 */
export function versionsUnderDigests(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2, ...MANY_BLOCKS }).movePrimaryFromVoter()
  const { replica, world } = stage
  const { disk } = replica
  stage.run(3000)
  disk.rememberWrites()
  stage.run(700)
  replica.crash({ powerLoss: true })
  if (!disk.loseVersions(new Chance(1))) throw new NotFollowed('there was nothing to lose')
  replica.start()
  const isBack = () => replica.up && stage.record.inSync.includes(disk.store) && world.healed()
  stage.until('it is back', isBack)
  if (disk.lost.none) throw new NotFollowed('it was compared without a read of its versions')
  replica.process?.scrub()
  const isTrusted = () => world.checkers.truth.map.nodes.get(disk.store)?.trust === 'trusted'
  const isWhole = () => disk.lost.none && disk.suspicion.size === 0
  stage.expect('it was compared', () => isBack() && isWhole() && isTrusted(), 20_000)
  return stage.run(2000).finish()
}

/**
 * 1. Power fails everywhere, and each disk has dropped other records: no store is left that may be trusted.
 * 2. They come back one after the other, and one goes again. Nothing is served before all of them are there; then the
 *    extent is reconciled, with every write that any of them has, and each store that lost something gets it back.
 * 3. The store that reconciled dies: its next incarnation is trusted again.
 */
export function onlySuspectsLeft(): readonly Violation[] {
  const stage = loseEverywhere()
  const { nodes, checkers } = stage.world
  const [voter, away, last] = nodes as [NodeHost, NodeHost, NodeHost]
  const { extents, forced, nodes: known } = checkers.truth.map
  voter.start()
  away.start()
  stage.until('it said that it is suspect', () => known.get(away.disk.store)?.trust === 'suspect')
  away.crash({ powerLoss: true })
  stage.until('control misses it', () => known.get(away.disk.store)?.state === 'down')
  last.start()
  stage.run(8000)
  if (forced.size > 0) checkers.violation('suspect', 'the extent was reconciled while a store was away')
  away.start()
  stage.expect('it is served again', () => stage.world.healed(), 20_000)
  if (forced.size !== extents.size) checkers.violation('suspect', 'what was reconciled is not marked')
  const reconciler = stage.primary
  reconciler.crash({ powerLoss: true })
  reconciler.start()
  const isBelieved = () => known.get(reconciler.disk.store)?.trust === 'trusted'
  stage.expect('it is trusted, and serves', () => isBelieved() && stage.world.healed(), 20_000)
  return stage.run(2000).finish()
}

/** Only suspect stores were left, and all were compared. Then the disk of the primary hangs: another one takes over. */
export function hungDiskAfterReconciliation(): readonly Violation[] {
  return hangPrimary(reconciledAndTrusted())
}

/** The same, and the primary dies. */
export function deadPrimaryAfterReconciliation(): readonly Violation[] {
  const stage = reconciledAndTrusted()
  stage.primary.crash({ powerLoss: true })
  const served = stage.nextWrites()
  stage.expect('writes go on', () => served(), 3 * TIMERS.leaseMs)
  return stage.finish()
}

/** All stores lost something, were reconciled and are compared, in the incarnations that began as suspect. */
function reconciledAndTrusted(): Stage {
  const stage = loseEverywhere()
  const { nodes, checkers } = stage.world
  const known = checkers.truth.map.nodes
  for (const node of nodes) node.start()
  stage.until('an extent is reconciled', () => checkers.truth.map.forced.size > 0)
  const counters = [...known.values()].map(({ incarnation }) => incarnation.counter)
  const isTrusted = () => [...known.values()].every(({ trust }) => trust === 'trusted')
  stage.until('all is in sync', () => stage.world.healed() && nodes.every(({ disk }) => disk.suspicion.size === 0))
  stage.expect('every store is trusted', isTrusted, 2000)
  const now = [...known.values()].map(({ incarnation }) => incarnation.counter)
  if (now.join() !== counters.join()) throw new NotFollowed('a store was started again')
  return stage
}

/** The reconciling store dies before it has fetched what it lacks: the next one starts again. */
export function reconciliationCutShort(): readonly Violation[] {
  const stage = loseEverywhere()
  const { nodes, checkers } = stage.world
  for (const { disk } of nodes) disk.extraReadMs = 40
  for (const node of nodes) node.start()
  stage.until('a store is to reconcile', () => checkers.truth.map.forced.size > 0)
  const { primary } = stage
  let isOver = false
  checkers.onMachineEvent = (_, { what }) => {
    if (what === 'extent-reconciled') isOver = true
  }
  stage.run(RECONCILING_MS)
  if (isOver) throw new NotFollowed('all was reconciled already')
  primary.crash({ powerLoss: true })
  for (const { disk } of nodes) disk.extraReadMs = 0
  primary.start()
  stage.expect('it is served again', () => stage.world.healed(), 30_000)
  return stage.run(2000).finish()
}

/**
 * The last answers before the power fails reach no client, and the store that reconciles has dropped the writes that they
 * were for. They are asked for again, and must not be done again: the other stores remember them.
 */
export function retriesAfterReconciliation(): readonly Violation[] {
  const stage = loseEverywhere((last) => {
    const { clients, network, nodes } = last.world
    for (const { name } of clients) for (const node of nodes) network.setLag(node.name, name, 8000)
  })
  const { clients, network, nodes, checkers } = stage.world
  for (const { name } of clients) for (const node of nodes) network.setLag(node.name, name, 0)
  for (const node of nodes) {
    node.start()
    stage.until('it is there', () => checkers.truth.map.nodes.get(node.disk.store)?.trust === 'suspect')
  }
  stage.until('the last one reconciles', () => checkers.truth.map.forced.size > 0)
  if (stage.primary !== nodes.at(-1)) throw new NotFollowed('another one reconciles')
  return stage.run(6000).finish()
}

/** Every disk drops records of another time, which the others still hold, and all are down. */
function loseEverywhere(beforeLast: (stage: Stage) => void = () => undefined): Stage {
  const stage = new Stage({ minInSync: 2, ...MANY_BLOCKS }).movePrimaryFromVoter()
  const { nodes } = stage.world
  stage.run(3000)
  for (const node of nodes) {
    const { disk } = node
    if (node === nodes.at(-1)) beforeLast(stage)
    disk.rememberWrites()
    stage.run(700)
    disk.recent?.seal()
    stage.run(100)
  }
  for (const node of nodes) node.crash({ powerLoss: true })
  for (const node of nodes) loseRecords(node)
  return stage
}
