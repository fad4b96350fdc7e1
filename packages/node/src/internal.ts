/** For the command line, the gateway and tests of this repository: what the public door leaves out. Not stable. */

export { createLog, createRegister, LATENCY_BUCKETS_SECONDS, type Register } from './observe/index.ts'
export { planRecovery, recoverCluster } from './rescue/cluster-recovery.ts'
export { exportReplicas, type ImageTarget, type ReplicaExport } from './rescue/export-replicas.ts'
export type { ClusterRecovery } from './rescue/recovery-result.ts'
