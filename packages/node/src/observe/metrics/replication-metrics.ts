import { LATENCY_BUCKETS_SECONDS, type Register } from '../register.ts'

/** What clients see of a node: how many operations, how long they took, how well their extents are replicated. */
export type ReplicationMetrics = ReturnType<typeof replicationMetrics>

export function replicationMetrics(register: Register) {
  const byOperation = ['volume', 'operation'] as const
  return {
    operations: register.counter('ashlar_replication_operations_total', 'Operations of clients answered, by outcome.', [
      ...byOperation,
      'code',
    ]),
    operationSeconds: register.histogram(
      'ashlar_replication_operation_seconds',
      'Time from the receipt of an operation by the primary to its answer.',
      LATENCY_BUCKETS_SECONDS,
      byOperation,
    ),
    operationBytes: register.counter(
      'ashlar_replication_operation_bytes_total',
      'Bytes of the operations that were answered with success.',
      byOperation,
    ),
    operationsUntimed: register.counter(
      'ashlar_replication_operations_untimed_total',
      'Operations that were not timed, because too many were on their way.',
    ),
    extents: register.gauge(
      'ashlar_replication_extents',
      'Extents by state, as the map tells it (every node tells the same: take the maximum). Degraded and unavailable ask for attention.',
      ['volume', 'state'],
    ),
    inSyncReplicas: register.gauge(
      'ashlar_replication_in_sync_replicas',
      'Replicas in sync of the extent that has the fewest, by volume.',
      ['volume'],
    ),
    forcedExtents: register.gauge(
      'ashlar_replication_forced_extents',
      'Extents that got a primary by force, or were merged from suspect stores, and whose loss nobody has acknowledged yet, by volume.',
      ['volume'],
    ),
    primaries: register.gauge('ashlar_replication_primaries', 'Extents whose primary is this node, by phase.', [
      'phase',
    ]),
    pendingWrites: register.gauge(
      'ashlar_replication_pending_writes',
      'Writes that have their place in an extent and are not on stable storage everywhere yet.',
    ),
    activations: register.counter('ashlar_replication_activations_total', 'Extents that began to be served from here.'),
    stepDowns: register.counter('ashlar_replication_step_downs_total', 'Extents that stopped being served from here.', [
      'reason',
    ]),
    inSyncChanges: register.counter(
      'ashlar_replication_in_sync_changes_total',
      'Changes of an in-sync set that a primary here asked for.',
      ['direction'],
    ),
    attachments: register.gauge('ashlar_replication_attachments', 'Sessions that hold a volume.', ['volume', 'mode']),
  }
}
