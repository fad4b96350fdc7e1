import { leaseExpiryMs } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Stage } from './stage.ts'

/** How long a new leader may take until it has outwaited every lease, named other primaries, and those serve. */
const TAKEOVER_MS = 4 * leaseExpiryMs()

/**
 * A primary dies, and with it the only voter, which is back at once: it never heard of the primary, and has to outwait a
 * lease that it did not give in this life.
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

/** Many writes at once, to more blocks than a primary loads at a time when it copies. */
const BUSY = {
  sizeBytes: 4000 * BLOCK_BYTES,
  hotBytes: 4000 * BLOCK_BYTES,
  workload: { depth: 200, thinkMs: 5, writeShare: 1, partialShare: 0, eraseShare: 0, mostBlocks: 1, flushEveryMs: 0 },
}
const SLOW_SYNC_MS = 600

/**
 * 1. Writes reach one of two replicas, the voter's, and their primary dies. The other replica leads and puts its own
 *    versions over them.
 * 2. Some of those are on the voter's disk and the end of the copy is not, when both die. The voter's store is back, and
 *    leads. Writes that were rolled back are sent to it again: it may not take them for done.
 */
export function rollbackCutShort(): readonly Violation[] {
  const stage = Stage.where(({ primary, successor, voter }) => primary !== voter && successor !== voter, BUSY)
  const { primary, successor, voter, world } = stage
  world.network.setLag(primary.name, successor.name, 3000)
  stage.run(300)
  primary.crash({ powerLoss: true })
  world.network.setLag(primary.name, successor.name, 0)
  stage.when(
    'stream-compared',
    (fact) => fact['store'] === voter.disk.store && fact['blocks'] !== 0,
    () => {
      voter.disk.extraSyncMs = SLOW_SYNC_MS
    },
  )
  stage.run(1.5 * SLOW_SYNC_MS)
  for (const node of [successor, voter]) node.crash({ powerLoss: true, luckless: true })
  voter.disk.extraSyncMs = 0
  voter.start()
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}
