import { FEATURE_LEVEL, TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import type { NodeHost } from '../world/node-host.ts'
import { NotFollowed, Stage } from './stage.ts'

/**
 * A hung disk shows after `slowMs`. What follows is an election, a takeover, a comparison, and the leases behind them.
 */
const GIVEN_UP_MS = TIMERS.slowMs + 2 * (TIMERS.electionMaxMs + TIMERS.leaseMs)

const WORKLOAD = {
  depth: 4,
  thinkMs: 20,
  writeShare: 0.3,
  partialShare: 0,
  discardShare: 0,
  mostBlocks: 1,
  flushEveryMs: 0,
}
const WIDE: Partial<SimulationOptions> = {
  nodes: 4,
  minInSync: 2,
  sharing: 'takeover',
  sizeBytes: 1024 * BLOCK_BYTES,
  hotBytes: 512 * BLOCK_BYTES,
  workload: WORKLOAD,
}

/**
 * Two of three replicas die at once, and control keeps its quorum. The primary was active before, so it goes on reading
 * (amendment 2): it gives the extent to neither of the two, and both stay eligible, since nothing was acknowledged
 * without them.
 */
export function twoReplicasDie(): readonly Violation[] {
  const { stage, others } = besideTheVoter()
  for (const node of others) node.crash({ powerLoss: false })
  return expectOnlyReads(stage, others)
}

/** The same two are cut off: their connections stall, and none of them is ever closed by the other side. */
export function twoReplicasSilent(): readonly Violation[] {
  const { stage, others } = besideTheVoter()
  stage.world.network.setCuts([{ side: new Set(others.map(({ name }) => name)), oneWay: false }])
  return expectOnlyReads(stage, others)
}

/**
 * The same two start again so soon that control never misses them: the primary, which they had left, has to lead on.
 * Control gives no extent to a store that it does not hear, so that only their return shows which one let go too soon
 * (amendment 18).
 */
export function twoReplicasStartAgain(): readonly Violation[] {
  const { stage, others } = besideTheVoter()
  const { epoch } = stage.record
  for (const node of others) node.crash({ powerLoss: false })
  stage.run(TIMERS.leaseMs)
  for (const node of others) node.start()
  stage.run(4000)
  if (stage.record.epoch !== epoch) stage.world.checkers.violation('liveness', 'the primary was replaced')
  return stage.finish()
}

/**
 * The two die one after the other, while no client writes; the second one comes back, is added, and dies again. Both
 * hold every acknowledged write all the time, so both are kept. Then the primary dies as well, apparently for good: the
 * first of the two leads, and the second joins it.
 */
export function keptOneAfterTheOther(): readonly Violation[] {
  const { stage, others } = besideTheVoter()
  const [first, second] = others as [NodeHost, NodeHost]
  const { primary, world } = stage
  first.crash({ powerLoss: false })
  stage.until('one is out', () => stage.record.inSync.length === 2)
  for (let times = 0; times < 2; times++) {
    second.crash({ powerLoss: false })
    stage.until('both are out', () => stage.record.inSync.length === 1)
    const { eligible } = stage.record
    if (eligible.length < 2) world.checkers.violation('eligible', `only ${eligible.join(' ')} are kept`)
    second.start()
    stage.until('the second one is back', () => stage.record.inSync.length === 2)
  }
  second.crash({ powerLoss: false })
  stage.until('both are out again', () => stage.record.inSync.length === 1)
  primary.crash({ powerLoss: true })
  first.start()
  stage.expect('the first one leads', () => stage.record.primary.store === first.disk.store, GIVEN_UP_MS)
  return stage.finish()
}

/** As before, but between the two deaths clients write: only the second one is kept. */
export function keptWithTheLastWrites(): readonly Violation[] {
  const { stage, others } = besideTheVoter(1)
  const [first, second] = others as [NodeHost, NodeHost]
  first.crash({ powerLoss: false })
  stage.until('one is out', () => stage.record.inSync.length === 2)
  const written = stage.nextWrites()
  stage.until('clients write', () => written())
  second.crash({ powerLoss: false })
  stage.until('both are out', () => stage.record.inSync.length === 1)
  const { eligible } = stage.record
  if (eligible.join() !== second.disk.store)
    stage.world.checkers.violation('eligible', `${eligible.join(' ')} are kept`)
  return stage.finish()
}

function besideTheVoter(writeShare = 0): { stage: Stage; others: NodeHost[] } {
  // A read of a block whose write waits for more replicas waits as well: a client that only reads waits for nothing.
  const options = { ...WIDE, workload: { ...WORKLOAD, writeShare } }
  const stage = Stage.where(({ record, voter }) => !record.assigned.includes(voter.disk.store), options)
  const others = stage.world.nodes.filter((node) => node !== stage.primary && node !== stage.voter)
  return { stage, others }
}

function expectOnlyReads(stage: Stage, others: readonly NodeHost[]): readonly Violation[] {
  const { checkers, history } = stage.world
  const { epoch } = stage.record
  stage.expect('the two are removed from the set', () => stage.record.inSync.length === 1, 2 * TIMERS.leaseMs)
  checkers.onMachineEvent = (_, { what, ...event }) => {
    if (what !== 'in-sync-change-asked' || (event['to'] as unknown[]).length === 1) return
    checkers.violation('liveness', 'a store of which nothing comes is to be added')
  }
  const eligible = (): boolean => others.every(({ disk }) => stage.record.eligible.includes(disk.store))
  for (let second = 0; second < 12; second++) {
    const before = history.reads
    stage.expect('the primary goes on reading', () => history.reads >= before + 20, TIMERS.leaseMs)
    stage.run(TIMERS.leaseMs)
    if (!eligible()) checkers.violation('eligible', `only ${stage.record.eligible.join(' ')} are kept`)
    if (checkers.broken) break
  }
  checkers.onMachineEvent = () => {}
  if (stage.record.epoch !== epoch) checkers.violation('liveness', 'the primary was replaced')
  return stage.finish()
}

/**
 * The disk of the control log hangs at the leader of three voters, and a replica dies that does not vote: writes wait
 * until control has taken it out. Another voter has to lead, since what the leader cannot save it never hands over.
 */
export function hungLogOfLeader(): readonly Violation[] {
  const lastOf = ({ world }: Stage): NodeHost => world.nodes.at(-1) as NodeHost
  const stage = Stage.where(
    (candidate) =>
      candidate.record.inSync.includes(lastOf(candidate).disk.store) && candidate.primary !== lastOf(candidate),
    { ...WIDE, voters: 3 },
  )
  const { leader } = stage
  const victim = lastOf(stage)
  leader.disk.hangs.add('log')
  victim.crash({ powerLoss: false })
  return expectFailover(stage, leader)
}

/** The default cluster, three nodes that vote and hold everything, and the whole disk of its leader's node hangs. */
export function hungDiskOfLeader(): readonly Violation[] {
  const stage = new Stage({ ...WIDE, nodes: 3, voters: 3 })
  const { leader } = stage
  leader.disk.hangs.add('log')
  leader.disk.hangs.add('store')
  return expectFailover(stage, leader)
}

function expectFailover(stage: Stage, hung: NodeHost): readonly Violation[] {
  const { nodes } = stage.world
  // A leader that is replaced steps down when it hears so, and by itself when it hears no majority.
  const another = (): boolean => nodes.some((node) => node !== hung && node.process?.leads === true)
  stage.expect('another voter leads', another, GIVEN_UP_MS)
  let served = stage.nextWrites()
  // The disk of a primary hangs too: it releases its extents, and its successor removes it by the same rule.
  stage.expect('writes go on', () => served(), GIVEN_UP_MS + TIMERS.slowMs)
  stage.run(2 * TIMERS.slowMs)
  served = stage.nextWrites()
  stage.expect('writes still go on', () => served(), TIMERS.leaseMs)
  stage.expect('one leads', () => nodes.filter(({ process }) => process?.leads === true).length === 1, 0)
  hung.disk.hangs.clear()
  hung.crash({ powerLoss: false })
  return stage.finish()
}

/**
 * The disk of a primary hangs: it gives the extent up, and its successor does not wait as long again for the same disk.
 */
export function hungDiskOfPrimary(): readonly Violation[] {
  const stage = new Stage({ ...WIDE, nodes: 4, sharing: 'takeover' }).movePrimaryFromVoter()
  stage.until(
    'every node reports its feature level',
    () => stage.world.checkers.truth.map.featureLevel >= FEATURE_LEVEL,
    10_000,
  )
  return hangPrimary(stage)
}

/** From now on the disk of the primary hangs: writes go on under another one. */
export function hangPrimary(stage: Stage): readonly Violation[] {
  const { primary } = stage
  primary.disk.hangs.add('store')
  const served = stage.nextWrites()
  stage.expect('writes go on', () => served(), TIMERS.slowMs + 2 * TIMERS.leaseMs)
  primary.disk.hangs.clear()
  primary.crash({ powerLoss: false })
  return stage.finish()
}

/** Every read of the primary's disk hangs, and no client writes: only reads show it. */
export function hungReads(): readonly Violation[] {
  const stage = new Stage({ ...WIDE, workload: { ...WORKLOAD, writeShare: 0 } }).movePrimaryFromVoter()
  const { primary, world } = stage
  primary.disk.hangs.add('reads')
  stage.expect('another one leads', () => stage.record.primary.store !== primary.disk.store, GIVEN_UP_MS)
  const before = world.history.reads
  stage.expect('reads go on', () => world.history.reads > before, GIVEN_UP_MS + TIMERS.slowMs)
  primary.disk.hangs.clear()
  primary.crash({ powerLoss: false })
  return stage.finish()
}

/**
 * A store that was suspect has been compared and is in sync again. Then another one becomes suspect: it may leave,
 * since the first holds what a trusted one holds, although it stays suspect for the rest of its incarnation.
 */
export function suspectBesideCompared(): readonly Violation[] {
  const stage = Stage.where(({ primary, voter }) => primary !== voter, {
    minInSync: 2,
    sizeBytes: 64 * BLOCK_BYTES,
    hotBytes: 32 * BLOCK_BYTES,
    // Builds before the feature level do not say that they were compared: the replica stays suspect for as long as it
    // runs.
    builds: [0, 0, 0],
  })
  const { primary, replica, world } = stage
  const { nodes } = world.checkers.truth.map
  const isBack = ({ disk }: NodeHost): boolean => nodes.get(disk.store)?.incarnation.counter === 2 && world.healed()
  distrust(replica)
  stage.expect('the replica is compared and in sync', () => isBack(replica), 60_000)
  if (nodes.get(replica.disk.store)?.trust !== 'suspect') throw new NotFollowed('the replica is trusted')
  distrust(primary)
  stage.expect('the primary has left, is compared and in sync', () => isBack(primary), 60_000)
  for (const node of world.nodes) {
    node.build = FEATURE_LEVEL
    node.crash({ powerLoss: false })
  }
  return stage.finish()
}

/**
 * A replica is back, and dies while the request that adds it to the set is in flight to control. What is acknowledged
 * until that is decided waits for it (A2.7).
 */
export function addedWhileItDies(): readonly Violation[] {
  const stage = Stage.where(({ record, voter }) => !record.assigned.includes(voter.disk.store), { nodes: 4 })
  const { primary, replica, voter, world } = stage
  const { id } = stage.record
  const counts = (): boolean => stage.record.inSync.includes(replica.disk.store)
  replica.crash({ powerLoss: false })
  stage.until('it is out of the set', () => !counts())
  stage.run(1500)
  world.network.setLag(primary.name, voter.name, 800)
  replica.start()
  stage.until('it is to be added', () => primary.process?.asksFor(id, replica.disk.store) === true)
  replica.crash({ powerLoss: false })
  stage.until('it is added', counts)
  world.network.setLag(primary.name, voter.name, 0)
  replica.start()
  return stage.finish()
}

/** Every replica has to be in sync before anything is acknowledged. One that becomes suspect leaves all the same. */
export function suspectWhereAllCount(): readonly Violation[] {
  const stage = new Stage({ minInSync: 3, sizeBytes: 64 * BLOCK_BYTES, hotBytes: 32 * BLOCK_BYTES })
  const { primary, world } = stage
  const { nodes } = world.checkers.truth.map
  distrust(primary)
  const isBack = (): boolean => nodes.get(primary.disk.store)?.incarnation.counter === 2 && world.healed()
  stage.expect('the primary has left, is compared and in sync', isBack, 60_000)
  return stage.run(2000).finish()
}

function distrust({ disk, process }: NodeHost): void {
  for (const extent of disk.replicas.keys()) disk.suspicion.add(extent)
  process?.distrust('simulated damage')
}
