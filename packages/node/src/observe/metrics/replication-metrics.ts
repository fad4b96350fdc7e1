import { LATENCY_BUCKETS_SECONDS, type Register } from '../register.ts'

/** What clients observe: operations, their latency, and the replication of their extents. */
export type ReplicationMetrics = ReturnType<typeof replicationMetrics>

export function replicationMetrics(register: Register) {
  const byOperation = ['volume', 'operation'] as const
  return {
    operations: register.counter(
      'ashlar_replication_operations_total',
      'Completed operations of clients, by outcome.',
      [...byOperation, 'code'],
    ),
    operationSeconds: register.histogram(
      'ashlar_replication_operation_seconds',
      'Time from the receipt of an operation by the primary to its response.',
      LATENCY_BUCKETS_SECONDS,
      byOperation,
    ),
    operationBytes: register.counter(
      'ashlar_replication_operation_bytes_total',
      'Bytes of successful operations.',
      byOperation,
    ),
    operationsUntimed: register.counter(
      'ashlar_replication_operations_untimed_total',
      'Operations that were not timed because too many were in flight.',
    ),
    extents: register.gauge(
      'ashlar_replication_extents',
      'Extents by state, according to the map (equal on every node: take the maximum). Degraded and unavailable need attention.',
      ['volume', 'state'],
    ),
    inSyncReplicas: register.gauge(
      'ashlar_replication_in_sync_replicas',
      'In-sync replicas of the extent with the fewest, by volume.',
      ['volume'],
    ),
    forcedExtents: register.gauge(
      'ashlar_replication_forced_extents',
      'Extents that got a primary by force, or were reconciled from suspect stores, whose loss no operator has acknowledged, by volume.',
      ['volume'],
    ),
    primaries: register.gauge('ashlar_replication_primaries', 'Extents whose primary is this node, by phase.', [
      'phase',
    ]),
    pendingWrites: register.gauge(
      'ashlar_replication_pending_writes',
      'Writes with a seq that are not yet on stable storage of every in-sync replica.',
    ),
    activations: register.counter('ashlar_replication_activations_total', 'Extents that this node began to serve.'),
    stepDowns: register.counter('ashlar_replication_step_downs_total', 'Extents that this node stopped serving.', [
      'reason',
    ]),
    inSyncChanges: register.counter(
      'ashlar_replication_in_sync_changes_total',
      'Changes of in-sync sets that primaries on this node requested.',
      ['direction'],
    ),
    attachments: register.gauge('ashlar_replication_attachments', 'Sessions that hold a volume.', ['volume', 'mode']),
  }
}
