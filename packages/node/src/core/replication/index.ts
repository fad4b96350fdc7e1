/** Replication and recovery of extents: protocol A2.4 to A2.13 as pure machines. */
export { DedupeWindows, UNKNOWN_SPAN } from './dedupe.ts'
export type { ExtentStatus } from './extent-status.ts'
export type { ReconcilePhase } from './reconcile-source.ts'
export { Replication } from './replication.ts'
