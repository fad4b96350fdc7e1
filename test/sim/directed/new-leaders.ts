import { FEATURE_LEVEL, leaseExpiryMs, TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import type { NodeHost } from '../world/node-host.ts'
import { NotFollowed, Stage } from './stage.ts'

/** How long a new leader may take until it has outwaited every lease, named other primaries, and those serve. */
const TAKEOVER_MS = 4 * leaseExpiryMs()

/**
 * A primary dies, and with it the only voter, which is back at once: it never heard of the primary, and has to outwait
 * a lease that it did not grant in this incarnation.
 */
export function primaryDiesWithVoter(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  const { primary, voter } = stage
  primary.crash({ powerLoss: false })
  voter.crash({ powerLoss: false })
  voter.start()
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}

/** A primary dies, and with it another node, which leads control: the next leader never heard of the primary. */
export function primaryDiesWithLeader(): readonly Violation[] {
  const stage = Stage.where(({ primary, leader }) => primary !== leader, { nodes: 5, voters: 5 })
  const { primary, leader } = stage
  primary.crash({ powerLoss: false })
  leader.crash({ powerLoss: false })
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}

/**
 * 1. A primary is alone in its set, and its disk hangs. What it sends to the leader waits, its release (amendment 18)
 *    with it; the leader hands over, the next one gets the request too and answers that no other store can lead.
 * 2. The primary goes on. A replica is in sync again, and the first leader leads again.
 * 3. Now the first copy of the release comes. The primary serves, and must not be replaced (amendment 38).
 */
export function lateRelease(): readonly Violation[] {
  const apart = ({ primary, world }: Stage) => world.nodes.indexOf(primary) >= 3
  const stage = Stage.where(apart, { nodes: 5, voters: 3, replicas: 2, sharing: 'takeover' })
  const { primary, successor, world } = stage
  const [leader, other] = world.nodes.filter(
    ({ disk }, at) => at < 3 && !stage.record.assigned.includes(disk.store),
  ) as [NodeHost, NodeHost]
  const { checkers, network } = world
  const lead = (node: NodeHost) =>
    stage.until(`${node.name} leads`, () => {
      if (node.process?.leads === true) return true
      if (stage.hasLeader) stage.leader.process?.admin({ do: 'transfer-leadership', store: node.disk.store }, () => {})
      return false
    })
  stage.until('every node reports its feature level', () => checkers.truth.map.featureLevel >= FEATURE_LEVEL, 10_000)
  lead(leader).run(1000)
  successor.crash({ powerLoss: false })
  stage.until('the primary is alone', () => stage.record.inSync.length === 1)
  primary.disk.extraSyncMs = TIMERS.slowMs + 1000
  stage.run(TIMERS.slowMs - 200)
  const held: { lose(): void; release(): void }[] = []
  for (let next = hold(); next !== undefined; next = hold()) held.push(next)
  stage.when(
    'primary-too-slow',
    () => true,
    () => {},
  )
  for (const connection of held) connection.lose()
  lead(other)
  primary.disk.extraSyncMs = 0
  const goesOn = stage.nextWrites()
  successor.start()
  stage.until('it goes on', () => goesOn() && stage.record.inSync.length === 2)
  const { epoch } = stage.record
  lead(leader)
  stage.run(2 * TIMERS.renewMs)
  for (const connection of held) connection.release()
  stage.run(TIMERS.leaseMs)
  if (stage.record.epoch !== epoch) checkers.violation('late-release', 'a primary was replaced that went on')
  return stage.finish()

  function hold() {
    return primary.process && network.holdBack(primary.process, leader.name)
  }
}

/** Many writes at once, to more blocks than a primary loads at a time when it copies. */
const BUSY = {
  sizeBytes: 4000 * BLOCK_BYTES,
  hotBytes: 4000 * BLOCK_BYTES,
  workload: { depth: 200, thinkMs: 5, writeShare: 1, partialShare: 0, discardShare: 0, mostBlocks: 1, flushEveryMs: 0 },
}
const SLOW_SYNC_MS = 600

/**
 * 1. Writes reach one of two replicas, which is removed then, and the primary dies. The other replica leads, is one
 *    too few to serve, and puts its own versions over them.
 * 2. Some of those are on the disk of the one that was removed and the end of the copy is not, when both die.
 * 3. An operator makes it the primary all the same. Writes that were rolled back are sent to it again: it may not take
 *    them for done.
 */
export function rollbackCutShort(): readonly Violation[] {
  const apart = (s: Stage) => !s.record.assigned.includes(s.voter.disk.store)
  const stage = Stage.where(apart, { ...BUSY, nodes: 4, minInSync: 2 })
  const { primary, successor, voter, world } = stage
  const other = world.nodes.find((node) => ![primary, successor, voter].includes(node)) as NodeHost
  const { store } = other.disk
  world.network.setLag(primary.name, successor.name, 3000)
  stage.run(300)
  other.crash({ powerLoss: false })
  stage.until('it is removed from the set', () => !stage.record.inSync.includes(store), 2500)
  primary.crash({ powerLoss: true })
  world.network.setLag(primary.name, successor.name, 0)
  other.start()
  stage.when(
    'stream-compared',
    (event) => event['store'] === store && event['blocks'] !== 0,
    () => {
      other.disk.extraSyncMs = SLOW_SYNC_MS
    },
  )
  stage.run(1.5 * SLOW_SYNC_MS)
  for (const node of [successor, other]) node.crash({ powerLoss: true, luckless: true })
  other.disk.extraSyncMs = 0
  other.start()
  const isForced = () => stage.record.primary.store === store
  for (let tries = 0; tries < 50 && !isForced(); tries++) {
    voter.process?.admin({ do: 'force-primary', extent: stage.record.id, store }, () => {})
    stage.run(200)
  }
  if (!isForced()) throw new NotFollowed('it is no primary by force')
  successor.start()
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}
