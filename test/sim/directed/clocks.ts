import type { Violation } from '../checkers/report.ts'
import { Stage } from './stage.ts'

/**
 * A machine on which a primary and a reader run is suspended, and nothing of the others reaches it for a moment after it goes
 * on. Another primary serves by then. The old one hears of the reader before its next tick, and its monotonic clock did
 * not go on: it must not answer on a lease that it holds by that clock alone (A2.3).
 */
export function suspendedMachine(): readonly Violation[] {
  const workload = {
    depth: 4,
    thinkMs: 1,
    writeShare: 0.6,
    partialShare: 0,
    discardShare: 0,
    mostBlocks: 1,
    flushEveryMs: 0,
  }
  const stage = new Stage({ sharing: 'takeover', minInSync: 2, workload })
  const { world } = stage
  const [, , reader] = world.clients
  if (reader === undefined) throw new Error('there is no reader')
  for (let round = 0; round < 3; round++) {
    const { primary } = stage.movePrimaryFromVoter()
    const { epoch } = stage.record
    world.network.setCuts([{ side: new Set([primary.name, reader.name]), oneWay: false }])
    for (const host of [primary, reader]) host.process?.suspend(8000)
    stage.until('another primary', () => stage.record.epoch > epoch).run(1000)
    stage.until('they go on', () => primary.process?.suspended === false).run(60)
    stage.heal().until('the cluster heals', () => world.healed())
    if (world.checkers.broken) break
  }
  return stage.finish()
}
