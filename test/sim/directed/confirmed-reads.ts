import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Stage } from './stage.ts'

/**
 * A primary, one replica and a client that only reads are cut from control, whose own node takes over and evicts the
 * replica; the writers are with it. The old primary has most of its ackSet beside it, and no lease: it must not answer a
 * read, since the new one serves.
 */
export function readsBesideMajority(): readonly Violation[] {
  const workload = {
    depth: 2,
    thinkMs: 20,
    writeShare: 0.6,
    partialShare: 0,
    eraseShare: 0,
    mostBlocks: 1,
    flushEveryMs: 0,
  }
  const stage = new Stage({
    sharing: 'takeover',
    sizeBytes: 64 * BLOCK_BYTES,
    hotBytes: 32 * BLOCK_BYTES,
    workload,
  }).movePrimaryFromVoter()
  const { primary, replica, voter, world } = stage
  const readers = world.clients.slice(2).map(({ name }) => name)
  world.network.setCuts([{ side: new Set([primary.name, replica.name, ...readers]), oneWay: false }])
  stage.until('the voter leads alone', () => {
    const { primary: named, inSync } = stage.record
    return named.store === voter.disk.store && inSync.length === 1
  })
  return stage.run(6000).finish()
}
