import type { MachineEvent } from '@ashlar/node/core'
import { type StoreId, TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import { heartbeatsBesideARebuild, leasesBesideARebuild, replicaBehindABusyLine } from './bandwidth.ts'
import { removedWhileAway, sessionsComeAndGo, writeOfAnEndedSession } from './bounds.ts'
import { suspendedMachine } from './clocks.ts'
import { readsBelowMinInSync, readsBesideMajority } from './confirmed-reads.ts'
import { deadExtent } from './dead-extent.ts'
import { everyDiskFull, fullMember, fullReplicaReturns, placedWhereThereIsSpace } from './full-disks.ts'
import {
  addedWhileItDies,
  hungDiskOfLeader,
  hungDiskOfPrimary,
  hungLogOfLeader,
  hungReads,
  keptOneAfterTheOther,
  keptWithTheLastWrites,
  suspectBesideCompared,
  suspectWhereAllCount,
  twoReplicasDie,
  twoReplicasSilent,
  twoReplicasStartAgain,
} from './lasting-faults.ts'
import { lateWrite } from './late-writes.ts'
import { awayWhileControlMoved, changeCutOff, droppedRecords, lostControlLog, lostVoter } from './long-runs.ts'
import {
  cancelledAfterPushes,
  lastCommittedIsMissing,
  lastWriteIsMissing,
  retriedAfterPushes,
  shorterTailAlone,
  shorterTailAtOnce,
  writeOfNoAttachment,
} from './lost-writes.ts'
import { lateRelease, primaryDiesWithLeader, primaryDiesWithVoter, rollbackCutShort } from './new-leaders.ts'
import {
  controlLogRolledBack,
  loneVoterRolledBack,
  storeRolledBack,
  twoCopiesAtOnce,
  voterRolledBack,
  voterRolledBackToNoLog,
} from './old-directories.ts'
import { attachedByPolicy } from './policies.ts'
import { Stage } from './stage.ts'
import {
  deadPrimaryAfterReconciliation,
  hungDiskAfterReconciliation,
  onlySuspectsLeft,
  reconciliationCutShort,
  retriesAfterReconciliation,
  rottenSuspect,
  versionsUnderDigests,
} from './suspect-stores.ts'
import { toleratedPauses } from './tolerated-pauses.ts'
import { upgradedNodeByNode } from './two-builds.ts'

/**
 * Schedules that random seeds meet too rarely, each named after its hazard (A2.16). A schedule runs one cluster through
 * exactly that misfortune and returns what the checkers found: nothing, unless a rule is broken.
 */
export const SCHEDULES: ReadonlyMap<string, () => readonly Violation[]> = new Map([
  ['restarted-primary', restartedPrimary],
  ['add-of-a-replaced-disk', addOfReplacedDisk],
  ['delayed-open-of-an-old-epoch', delayedOpen],
  ['zombie-primary', zombiePrimary],
  ['paused-primary', pausedPrimary],
  ['primary-cut-from-control-only', primaryCutFromControl],
  ['acknowledged-after-the-lease', acknowledgedAfterLease],
  ['read-when-the-lease-runs-out', readWhenLeaseRunsOut],
  ['reads-beside-a-majority', readsBesideMajority],
  ['reads-below-min-in-sync', readsBelowMinInSync],
  ['suspended-machine', suspendedMachine],
  ['late-write', lateWrite],
  ['dead-extent', deadExtent],
  ['write-of-a-fenced-client', writeOfFencedClient],
  ['attachment-not-known-yet', attachmentNotKnownYet],
  ['attached-by-policy', attachedByPolicy],
  ['first-writes-rolled-back', firstWritesRolledBack],
  ['writes-while-comparing', writesWhileComparing],
  ['retries-after-a-copy', retriesAfterCopy],
  ['served-too-early', servedTooEarly],
  ['retried-after-pushes', retriedAfterPushes],
  ['cancelled-after-pushes', cancelledAfterPushes],
  ['write-of-no-attachment', writeOfNoAttachment],
  ['last-committed-is-missing', lastCommittedIsMissing],
  ['last-write-is-missing', lastWriteIsMissing],
  ['shorter-tail-is-named', shorterTailAtOnce],
  ['shorter-tail-is-alone', shorterTailAlone],
  ['all-at-once', allAtOnce],
  ['voter-away', voterAway],
  ['slow-but-alive-replica', slowReplica],
  ['wiped-disk-with-old-name', wipedDisk],
  ['only-in-sync-store-wiped', soleStoreWiped],
  ['deaf-leader', deafLeader],
  ['leader-crash', leaderCrash],
  ['leader-with-its-primary-cut-off', leaderCutOff],
  ['renewals-at-a-leader-that-stood-still', renewalsAtOldLeader],
  ['dropped-records', droppedRecords],
  ['suspect-store-with-rot', rottenSuspect],
  ['versions-under-digests', versionsUnderDigests],
  ['only-suspect-stores-left', onlySuspectsLeft],
  ['hung-disk-after-a-reconciliation', hungDiskAfterReconciliation],
  ['dead-primary-after-a-reconciliation', deadPrimaryAfterReconciliation],
  ['reconciliation-cut-short', reconciliationCutShort],
  ['retries-after-a-reconciliation', retriesAfterReconciliation],
  ['lost-voter', lostVoter],
  ['change-of-members-cut-off', changeCutOff],
  ['away-while-control-moved', awayWhileControlMoved],
  ['lost-control-log', lostControlLog],
  ['store-rolled-back', storeRolledBack],
  ['two-copies-at-once', twoCopiesAtOnce],
  ['control-log-rolled-back', controlLogRolledBack],
  ['voter-rolled-back', voterRolledBack],
  ['voter-rolled-back-to-no-log', voterRolledBackToNoLog],
  ['lone-voter-rolled-back', loneVoterRolledBack],
  ['primary-dies-with-the-voter', primaryDiesWithVoter],
  ['primary-dies-with-the-leader', primaryDiesWithLeader],
  ['late-release', lateRelease],
  ['rollback-cut-short', rollbackCutShort],
  ['pauses-that-are-tolerated', toleratedPauses],
  ['two-replicas-die', twoReplicasDie],
  ['two-replicas-start-again', twoReplicasStartAgain],
  ['two-replicas-silent', twoReplicasSilent],
  ['kept-one-after-the-other', keptOneAfterTheOther],
  ['kept-with-the-last-writes', keptWithTheLastWrites],
  ['hung-log-of-the-leader', hungLogOfLeader],
  ['hung-disk-of-the-leader', hungDiskOfLeader],
  ['hung-disk-of-a-primary', hungDiskOfPrimary],
  ['hung-reads', hungReads],
  ['suspect-beside-a-compared-store', suspectBesideCompared],
  ['suspect-where-all-count', suspectWhereAllCount],
  ['added-while-it-dies', addedWhileItDies],
  ['leases-beside-a-rebuild', leasesBesideARebuild],
  ['heartbeats-beside-a-rebuild', heartbeatsBesideARebuild],
  ['replica-behind-a-busy-line', replicaBehindABusyLine],
  ['upgraded-node-by-node', upgradedNodeByNode],
  ['sessions-come-and-go', sessionsComeAndGo],
  ['write-of-an-ended-session', writeOfAnEndedSession],
  ['removed-while-away', removedWhileAway],
  ['every-disk-full', everyDiskFull],
  ['full-replica-returns', fullReplicaReturns],
  ['full-member', fullMember],
  ['placed-where-there-is-space', placedWhereThereIsSpace],
])

/** How late messages may be that a lease depends on, so that it is renewed in time all the same. */
const LATE_MS = TIMERS.leaseMs - 2 * TIMERS.renewMs

const TAKEOVER: Pick<SimulationOptions, 'sharing' | 'workload'> = {
  sharing: 'takeover',
  workload: { depth: 4, thinkMs: 20, writeShare: 1, partialShare: 1, discardShare: 0, mostBlocks: 1, flushEveryMs: 0 },
}

/**
 * A primary's newest writes are on its replicas, not on its own disk, when it loses power; it is back at once, and
 * control with it, which has heard no other store yet and names it again. It must not give the versions of those writes
 * to others.
 */
function restartedPrimary(): readonly Violation[] {
  const stage = Stage.where(({ primary, voter }) => primary === voter)
  const { primary } = stage
  primary.disk.extraSyncMs = 3000
  stage.run(400)
  primary.crash({ powerLoss: true, luckless: true })
  primary.disk.extraSyncMs = 0
  primary.start()
  return stage.run(2000).finish()
}

/**
 * 1. A replica that was away has caught up, and its primary asks control to add it; the request is slow.
 * 2. The replica's disk is replaced by an empty one, which registers, but which the primary does not reach.
 * 3. The request arrives. The new store must not be added by it.
 */
function addOfReplacedDisk(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 }).movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const { network } = world
  const away = replica.disk.store
  stage.takeOut(replica)
  network.setLag(primary.name, voter.name, LATE_MS)
  stage.heal().when('in-sync-change-asked', adds(away), () => {
    stage.cut(primary, replica)
    stage.replaceDisk(replica)
  })
  stage.run(2500)
  network.setLag(primary.name, voter.name, 0)
  return stage.finish()
}

function adds(store: StoreId): (event: MachineEvent) => boolean {
  return (event) => Array.isArray(event['to']) && event['to'].includes(store)
}

/**
 * 1. A primary that is cut from control opens a stream again, and its OPEN is slow.
 * 2. Its lease runs out; another store leads.
 * 3. The connections of the new primary break, and the old OPEN arrives where no stream is open.
 */
function delayedOpen(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const { network } = world
  const { epoch } = stage.record
  network.setLag(primary.name, replica.name, 7000)
  stage.cut(primary, voter)
  if (primary.process !== undefined) network.breakAll(primary.process, replica.name)
  stage.until('another primary', () => stage.record.epoch > epoch)
  for (let round = 0; round < 80; round++) {
    if (replica.process !== undefined) network.breakAll(replica.process, voter.name)
    stage.run(100)
  }
  network.setLag(primary.name, replica.name, 0)
  return stage.finish()
}

/** A primary and its clients are cut from all others: it must not serve once another store leads. */
function zombiePrimary(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  const { primary, world } = stage
  const { epoch } = stage.record
  const side = new Set([primary.name, ...world.clients.slice(0, 2).map(({ name }) => name)])
  world.network.setCuts([{ side, oneWay: false }])
  stage.until('another primary', () => stage.record.epoch > epoch)
  return stage.run(4000).finish()
}

/** A primary's host pauses for longer than its lease, with requests waiting at its door. */
function pausedPrimary(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  stage.primary.process?.pause(6000)
  return stage.run(9000).finish()
}

/** A primary still reaches its replicas and its clients, but not control. */
function primaryCutFromControl(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 }).movePrimaryFromVoter()
  const { epoch } = stage.record
  stage.cut(stage.primary, stage.voter)
  stage.until('another primary', () => stage.record.epoch > epoch)
  return stage.run(4000).finish()
}

/**
 * 1. Replicas acknowledge writes, and their answers are slow.
 * 2. The primary's renewals do not reach control any more; another store leads.
 * 3. The acknowledgements arrive: all replicas have the writes, but their primary has no lease to say so.
 */
function acknowledgedAfterLease(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const { epoch } = stage.record
  world.network.setLag(replica.name, primary.name, 4500)
  world.network.setLag(voter.name, primary.name, 4500)
  stage.run(150)
  world.network.setCuts([{ side: new Set([primary.name]), others: new Set([voter.name]), oneWay: true }])
  stage.until('another primary', () => stage.record.epoch > epoch).run(2000)
  world.network.setLag(replica.name, primary.name, 0)
  world.network.setLag(voter.name, primary.name, 0)
  return stage.finish()
}

/**
 * Reads are under way at a slow disk while the lease of their primary runs out, and it does not hear of its successor.
 */
function readWhenLeaseRunsOut(): readonly Violation[] {
  const stage = new Stage({ workload: { ...TAKEOVER.workload, writeShare: 0, thinkMs: 400 } }).movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const { epoch } = stage.record
  primary.disk.extraReadMs = 1500
  world.network.setLag(replica.name, primary.name, 4500)
  stage.cut(primary, voter)
  stage.until('another primary', () => stage.record.epoch > epoch).run(2000)
  world.network.setLag(replica.name, primary.name, 0)
  primary.disk.extraReadMs = 0
  return stage.finish()
}

/** A client is fenced while its writes of parts of blocks wait for the old content of those blocks. */
function writeOfFencedClient(): readonly Violation[] {
  const stage = new Stage(TAKEOVER).movePrimaryFromVoter()
  stage.primary.disk.extraReadMs = 1500
  stage.until('the second client has the volume', () => stage.holder === 'c2')
  return stage.run(3000).finish()
}

/** A client is fenced, and all others hear of it late, its primary too: until then the attachment is not complete. */
function attachmentNotKnownYet(): readonly Violation[] {
  const stage = new Stage(TAKEOVER).movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const late = [primary.name, replica.name, 'c1']
  for (const name of late) world.network.setLag(voter.name, name, LATE_MS)
  stage.until('the second client has the volume', () => stage.holder === 'c2').run(3000)
  for (const name of late) world.network.setLag(voter.name, name, 0)
  return stage.finish()
}

/** So many blocks that most were never written when a schedule begins. */
const MANY_BLOCKS = { sizeBytes: 4000 * BLOCK_BYTES, hotBytes: 2000 * BLOCK_BYTES }

/**
 * A primary dies, and its clients with it, after first writes of blocks reached neither of two replicas, which take
 * over without it. It comes back as one of them: what only it has must go.
 */
function firstWritesRolledBack(): readonly Violation[] {
  const stage = new Stage(MANY_BLOCKS).movePrimaryFromVoter()
  const { primary, world } = stage
  const others = world.nodes.filter((node) => node !== primary)
  for (const { name } of others) world.network.setLag(primary.name, name, 3000)
  stage.run(300)
  primary.crash({ powerLoss: false })
  for (const driver of world.drivers) driver.crash()
  for (const { name } of others) world.network.setLag(primary.name, name, 0)
  return stage.run(6000).finish()
}

/** A replica that was away joins again, and its disk reads slowly: while it is compared clients go on writing. */
function writesWhileComparing(): readonly Violation[] {
  const stage = new Stage(MANY_BLOCKS).movePrimaryFromVoter()
  const { replica } = stage
  const away = replica.disk.store
  stage.takeOut(replica)
  replica.disk.extraReadMs = 500
  stage.heal().until('the replica is in sync again', () => stage.record.inSync.includes(away))
  replica.disk.extraReadMs = 0
  return stage.finish()
}

/**
 * 1. A replica is away and copies what it missed. All the while the primary's answers to clients are slow.
 * 2. It is in sync, the primary dies, and the replica leads. The clients send their writes again: they were applied.
 */
function retriesAfterCopy(): readonly Violation[] {
  const stage = Stage.where(({ primary, replica, successor, voter }) => primary !== voter && replica === successor)
  const { primary, replica, world } = stage
  const away = replica.disk.store
  for (const { name } of world.clients) world.network.setLag(primary.name, name, 8000)
  stage.takeOut(replica)
  stage.heal().until('the replica is in sync again', () => stage.record.inSync.includes(away))
  primary.crash({ powerLoss: true })
  for (const { name } of world.clients) world.network.setLag(primary.name, name, 0)
  return stage.run(6000).finish()
}

/**
 * 1. Writes reach one replica and not the voter's, whose disk is slow as well; the primary dies, and the writer with
 *    it.
 * 2. The replica is named primary. It must not serve before the voter's store has promised: its newest writes are not
 *    committed. It dies too, and the voter's store leads, without them.
 */
function servedTooEarly(): readonly Violation[] {
  const stage = Stage.where(({ primary, replica, successor, voter }) => primary !== voter && replica === successor, {
    sharing: 'takeover',
    hotBytes: 8 * BLOCK_BYTES,
  })
  const { primary, replica, voter, world } = stage
  const { epoch } = stage.record
  world.network.setLag(primary.name, voter.name, 8000)
  voter.disk.extraSyncMs = 10_000
  stage.run(300)
  primary.crash({ powerLoss: true })
  world.drivers[0]?.crash()
  for (const writer of world.drivers.slice(0, 2)) writer.stop()
  stage.until('the replica is named primary', () => stage.record.epoch > epoch).run(2500)
  replica.crash({ powerLoss: true })
  voter.disk.extraSyncMs = 0
  world.network.setLag(primary.name, voter.name, 0)
  return stage.run(8000).finish()
}

/** Power fails everywhere under load, twice; one node comes back late. */
function allAtOnce(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 })
  const { nodes } = stage.world
  for (let round = 0; round < 2; round++) {
    for (const node of nodes) node.crash({ powerLoss: true })
    for (const node of nodes.slice(0, 2)) node.start()
    stage.run(8000)
    nodes[2]?.start()
    stage.run(5000)
  }
  return stage.finish()
}

/** The voter is away for longer than every lease: nothing is served, nothing is lost, all goes on when it is back. */
function voterAway(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  stage.voter.crash({ powerLoss: false })
  stage.run(20_000)
  stage.voter.start()
  stage.until('all replicas are in sync and served again', () => stage.world.healed(), 10_000)
  return stage.finish()
}

/**
 * A replica answers every ping, and its disk takes ten seconds for a sync; its stream has to be opened again meanwhile.
 * The others must go on without it.
 */
function slowReplica(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 })
  const { primary, replica, world } = stage
  replica.disk.extraSyncMs = 10_000
  if (primary.process !== undefined) world.network.breakAll(primary.process, replica.name)
  stage.until('it is removed from the set', () => !stage.record.inSync.includes(replica.disk.store), 20_000)
  replica.disk.extraSyncMs = 0
  return stage.finish()
}

/** A replica comes back over an empty disk, under its old name and address: it is a new replica. */
function wipedDisk(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 })
  stage.replaceDisk(stage.replica)
  return stage.run(3000).finish()
}

/**
 * 1. The voter's own store is slow and leaves the in-sync set; the primary dies, so that one store is in sync, below
 *    minInSync, and the dead one is kept as eligible.
 * 2. The store in sync loses its disk. The eligible one comes back: it holds every acknowledged write (amendment 2).
 */
function soleStoreWiped(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 }).movePrimaryFromVoter()
  const { primary, replica, voter } = stage
  voter.disk.extraSyncMs = 10_000
  stage.until('the voter is out', () => !stage.record.inSync.includes(voter.disk.store))
  primary.crash({ powerLoss: true })
  stage.until('one store is in sync', () => stage.record.inSync.length === 1)
  stage.replaceDisk(replica)
  voter.disk.extraSyncMs = 0
  stage.run(6000)
  primary.start()
  return stage.run(5000).finish()
}

/** The leader of control sends and hears no peer, permanently: another one must lead, and writes go on. */
function deafLeader(): readonly Violation[] {
  // Until every node has registered, the outcome depends on what the cut catches on its way.
  const stage = new Stage({ voters: 3, minInSync: 2 }).run(2000)
  const { world, leader } = stage
  const others = [...world.nodes, ...world.clients].map(({ name }) => name).filter((name) => name !== leader.name)
  world.network.setCuts([{ side: new Set(others), others: new Set([leader.name]), oneWay: true }])
  const proof = stage.nextWrites()
  stage.expect(
    'another leader',
    () => world.nodes.some((node) => node !== leader && node.process?.leads === true),
    8000,
  )
  return stage.expect('writes go on', proof, 20_000).finish()
}

/** The leader of control dies with its disk's newest entries, again and again: each time there is another one soon. */
function leaderCrash(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2 })
  for (let round = 0; round < 3; round++) {
    const { leader } = stage
    leader.crash({ powerLoss: true, luckless: true })
    stage.until('another leader', () => stage.hasLeader, 6000)
    leader.start()
    stage.run(3000)
  }
  return stage.finish()
}

/**
 * The leader of control and the primary of an extent, on one node, are cut from the two others, but not from the
 * clients: neither leases nor writes come out of that node any more, and the others go on.
 */
function leaderCutOff(): readonly Violation[] {
  const stage = Stage.where(({ primary, leader }) => primary === leader, { voters: 3, minInSync: 2 })
  const { leader, world } = stage
  const { epoch } = stage.record
  stage.cut(leader, ...world.nodes.filter((node) => node !== leader))
  stage.until('another primary', () => stage.record.epoch > epoch, 12_000)
  return stage.until('writes go on', stage.nextWrites(), 10_000).heal().run(3000).finish()
}

/**
 * 1. The leader of control pauses, and nothing of the others reaches it. A primary and a client reach only it;
 *    the others elect another leader, which names another primary.
 * 2. The old leader goes on, and finds the primary's renewals. It must not answer them: a later epoch is served
 *    already.
 */
function renewalsAtOldLeader(): readonly Violation[] {
  const stage = Stage.where(({ primary, leader }) => primary !== leader, { nodes: 5, voters: 5 })
  const { primary, leader, world } = stage
  const { epoch } = stage.record
  const others = world.nodes.filter((node) => node !== leader && node !== primary).map(({ name }) => name)
  const side = new Set([primary.name, ...world.clients.slice(0, 1).map(({ name }) => name)])
  world.network.setCuts([
    { side, others: new Set(others), oneWay: false },
    { side: new Set(others), others: new Set([leader.name]), oneWay: true },
  ])
  leader.process?.pause(11_000)
  stage.until('another primary', () => stage.record.epoch > epoch, 10_000)
  return stage.run(9000).finish()
}
