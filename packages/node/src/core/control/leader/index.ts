/** The leader: leases, requests of nodes and operators, and the decision which commands to propose. */

export { EXTENTS_PER_TICK } from './applier.ts'
export { ControlLeader } from './leader.ts'
export type { HeldSession } from './leader-view.ts'
export { explainWaiting } from './waiting-extents.ts'
