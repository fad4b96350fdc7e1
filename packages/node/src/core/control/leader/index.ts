/** The leader: leases, requests of nodes and operators, and the decision which commands to propose. */

export { EXTENTS_PER_TICK } from './applier.ts'
export { ControlLeader } from './leader.ts'
export type { AttachView, LeaseView } from './leader-view.ts'
export { explainWaiting, type WaitingExtent } from './waiting-extents.ts'
