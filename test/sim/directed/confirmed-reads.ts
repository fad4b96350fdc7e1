import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import type { NodeHost } from '../world/node-host.ts'
import { Stage } from './stage.ts'

const WORKLOAD = {
  depth: 4,
  thinkMs: 20,
  writeShare: 0.6,
  partialShare: 0,
  discardShare: 0,
  mostBlocks: 1,
  flushEveryMs: 0,
}

/**
 * A primary, one replica and a client that only reads are cut from control, whose own node takes over and evicts the
 * replica; the writers are with it. The old primary has most of its ackSet beside it, and no lease: it must not answer
 * a read, since the new one serves.
 */
export function readsBesideMajority(): readonly Violation[] {
  const stage = new Stage({
    sharing: 'takeover',
    sizeBytes: 2048 * BLOCK_BYTES,
    hotBytes: 1024 * BLOCK_BYTES,
    workload: { ...WORKLOAD, depth: 2 },
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

/**
 * Five replicas, minInSync 3, of which two are left in sync, the primary among them. Both are cut from control together
 * with two clients that read; a store that was kept takes over, the other two join it, and it serves. The member beside
 * the old primary never hears of that: below minInSync the confirmations of the ackSet prove nothing.
 */
export function readsBelowMinInSync(): readonly Violation[] {
  const stage = Stage.where(({ record, voter }) => !record.assigned.includes(voter.disk.store), {
    nodes: 6,
    replicas: 5,
    minInSync: 3,
    sharing: 'takeover',
    sizeBytes: 1024 * BLOCK_BYTES,
    hotBytes: 512 * BLOCK_BYTES,
    workload: WORKLOAD,
  })
  const { primary, voter, world } = stage
  const [beside, ...away] = world.nodes.filter((node) => node !== primary && node !== voter) as [
    NodeHost,
    ...NodeHost[],
  ]
  world.network.setCuts([{ side: new Set(away.map(({ name }) => name)), oneWay: false }])
  stage.until('two are left', () => stage.record.inSync.length === 2)
  stage.run(200)
  for (const node of away) node.crash({ powerLoss: false })
  stage.heal().run(300)
  const readers = world.clients.slice(2).map(({ name }) => name)
  world.network.setCuts([{ side: new Set([primary.name, beside.name, ...readers]), oneWay: false }])
  for (const node of away) node.start()
  stage.until('the others lead', () => {
    const { primary: named, inSync } = stage.record
    return named.store !== primary.disk.store && inSync.length >= 3
  })
  return stage.run(6000).finish()
}
