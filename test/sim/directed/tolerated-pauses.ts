import { TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { Stage } from './stage.ts'

/** Events that report a conclusion from the silence of a node. */
const CONSEQUENCES = [
  'raft-leader',
  'raft-no-majority',
  'store-expired',
  'lease-lost',
  'in-sync-change-asked',
  'extent-active',
]
const ROUNDS = 12

/**
 * Each node in turn, the leader of control and the primary too, pauses for as long as that must have no
 * consequences, at ever other moments between its ticks and renewals, under load and with clocks that are off by what
 * leases allow for.
 */
export function toleratedPauses(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2, clockError: 0.05 })
  const { checkers, nodes } = stage.world
  checkers.onMachineEvent = (node, event) => {
    if (!CONSEQUENCES.includes(event.what)) return
    checkers.violation('liveness', `${node.host} says ${event.what}, and all that happened is a pause`)
  }
  for (let round = 0; round < ROUNDS && !checkers.broken; round++) {
    for (const { process } of nodes) {
      process?.pause(TIMERS.toleratedPauseMs)
      stage.run(2 * TIMERS.toleratedPauseMs + (TIMERS.renewMs / ROUNDS) * round)
    }
  }
  checkers.onMachineEvent = () => {}
  return stage.finish()
}
