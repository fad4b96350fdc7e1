import type { Register } from '../register.ts'
import { type ControlMetrics, controlMetrics } from './control-metrics.ts'
import { type ProcessInfo, type ProcessMetrics, processMetrics } from './process-metrics.ts'
import { type RecoveryMetrics, recoveryMetrics } from './recovery-metrics.ts'
import { type ReplicationMetrics, replicationMetrics } from './replication-metrics.ts'
import { type ScrubMetrics, scrubMetrics } from './scrub-metrics.ts'
import { type StorageMetrics, storageMetrics } from './storage-metrics.ts'
import { type TransportMetrics, transportMetrics } from './transport-metrics.ts'

export type { StorageSource } from './storage-metrics.ts'
export type {
  ControlMetrics,
  ProcessInfo,
  ProcessMetrics,
  RecoveryMetrics,
  ReplicationMetrics,
  ScrubMetrics,
  StorageMetrics,
  TransportMetrics,
}

/** Every metric of a node, one typed object a module. */
export interface NodeMetrics {
  readonly replication: ReplicationMetrics
  readonly recovery: RecoveryMetrics
  readonly scrub: ScrubMetrics
  readonly storage: StorageMetrics
  readonly transport: TransportMetrics
  readonly control: ControlMetrics
  readonly process: ProcessMetrics
}

export function createNodeMetrics(register: Register, events: ProcessInfo): NodeMetrics {
  return {
    replication: replicationMetrics(register),
    recovery: recoveryMetrics(register),
    scrub: scrubMetrics(register),
    storage: storageMetrics(register),
    transport: transportMetrics(register),
    control: controlMetrics(register),
    process: processMetrics(register, events),
  }
}
