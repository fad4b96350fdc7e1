import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import type { NodeHost } from '../world/node-host.ts'
import { Stage } from './stage.ts'

const BLOCKS = 4096
/** 100 Mbit/s. */
const BYTES_PER_MS = 12_500
const SLOW_LINES = {
  delayMs: 1,
  tailPerFrame: 0,
  tailMs: 0,
  lossPerFrame: 0,
  encoded: false,
  bytesPerMs: BYTES_PER_MS,
  lanes: true,
}
/** Events that report that a peer was not heard in time. */
const CONSEQUENCES = ['raft-leader', 'raft-no-majority', 'store-expired', 'lease-lost']
/**
 * What has to wait on one connection, or the schedule proves nothing: longer than a lease, and than an election takes.
 */
const BULK_WAITS_MS = 2500

/**
 * The primary sends its renewals over the connection over which it sends what it replicates: its lease ran out while
 * control, which heard each renewal late, gave the extent to no other store.
 */
export function leasesBesideARebuild(): readonly Violation[] {
  return besideARebuild(({ primary, leader }) => primary !== leader)
}

/**
 * The leader of control is the primary: what voters hear from it comes over the connections over which it replicates.
 */
export function heartbeatsBesideARebuild(): readonly Violation[] {
  return besideARebuild(({ primary, leader }) => primary === leader)
}

/**
 * A store that has no vote is rebuilt from nothing over lines of 100 Mbit/s, while clients write more than the lines
 * carry: seconds of bulk wait on every connection of the primary. No other node loses its lease, and no voter wants to
 * lead control in another's place (amendment 36).
 */
function besideARebuild(roles: (stage: Stage) => boolean): readonly Violation[] {
  const isLast = ({ world, primary }: Stage): boolean => world.nodes.at(-1) === primary
  const stage = Stage.where((at) => !isLast(at) && roles(at), {
    nodes: 4,
    voters: 3,
    replicas: 4,
    minInSync: 2,
    sharing: 'shared',
    sizeBytes: BLOCKS * BLOCK_BYTES,
    hotBytes: BLOCKS * BLOCK_BYTES,
    network: SLOW_LINES,
    workload: {
      depth: 6,
      thinkMs: 20,
      writeShare: 1,
      partialShare: 0,
      discardShare: 0,
      mostBlocks: 256,
      flushEveryMs: 0,
    },
  })
  const { world } = stage
  const { checkers, network } = world
  const rebuilt = world.nodes.at(-1) as NodeHost
  const gone = rebuilt.disk.store
  checkers.onMachineEvent = ({ host }, event) => {
    if (!CONSEQUENCES.includes(event.what) || host === rebuilt.name || event.store === gone) return
    checkers.violation('liveness', `${host} says ${event.what}, and all that happened is a rebuild over a slow line`)
  }
  stage.run(1500)
  stage.replaceDisk(rebuilt)
  stage.run(4000)
  const waitedMs = network.uplinks?.longestMs ?? 0
  if (!checkers.broken && waitedMs < BULK_WAITS_MS)
    checkers.violation('liveness', `bulk waited for ${waitedMs} ms at most: nothing is proved`)
  checkers.onMachineEvent = () => {}
  // Whether a copy keeps up with clients that write more than the lines carry is another matter, and up to chance.
  world.stopClients()
  return stage.finish()
}

/**
 * A replica was away for a moment, and its copy ends while clients write as much as the line of the primary carries.
 * What is in flight to it never gets less, so that it follows a moment behind; it must come back all the same
 * (amendment 37).
 */
export function replicaBehindABusyLine(): readonly Violation[] {
  const blocks = 256
  const stage = new Stage({
    voters: 3,
    sharing: 'shared',
    sizeBytes: blocks * BLOCK_BYTES,
    hotBytes: blocks * BLOCK_BYTES,
    network: SLOW_LINES,
    workload: {
      depth: 4,
      thinkMs: 5,
      writeShare: 0.4,
      partialShare: 0,
      discardShare: 0,
      mostBlocks: 8,
      flushEveryMs: 0,
    },
  })
  const { successor } = stage
  const { store } = successor.disk
  successor.crash({ powerLoss: false })
  stage.until('it is out', () => !stage.record.inSync.includes(store)).run(500)
  successor.start()
  return stage.expect('it is in sync again', () => stage.record.inSync.includes(store), 15_000).finish()
}
