import type { Register } from '../register.ts'

/** Replicas that catch up, and damaged blocks. */
export type RecoveryMetrics = ReturnType<typeof recoveryMetrics>

export function recoveryMetrics(register: Register) {
  return {
    behindBlocks: register.gauge(
      'ashlar_recovery_behind_blocks',
      'Blocks that replicas still need from primaries on this node. Constant and above 0: recovery is stuck.',
      ['volume'],
    ),
    streams: register.gauge('ashlar_recovery_streams', 'Streams from primaries on this node to replicas, by phase.', [
      'phase',
    ]),
    yieldingStreams: register.gauge(
      'ashlar_recovery_yielding_streams',
      'Copies from primaries on this node that are throttled because clients are served.',
    ),
    comparedStreams: register.counter(
      'ashlar_recovery_compared_streams_total',
      'Streams whose primary and replica were compared: one for each extent at a restart of a node or a rejoin.',
    ),
    listedBlocks: register.counter(
      'ashlar_recovery_listed_blocks_total',
      'Blocks that a comparison added to the resync set.',
    ),
    copiedBlocks: register.counter('ashlar_recovery_copied_blocks_total', 'Blocks copied to joining replicas.'),
    copiedBytes: register.counter('ashlar_recovery_copied_bytes_total', 'Bytes copied to joining replicas.'),
    markedStreams: register.counter('ashlar_recovery_marked_streams_total', 'Copies that were completed.'),
    closedStreams: register.counter(
      'ashlar_recovery_closed_streams_total',
      'Streams that broke and were opened again.',
    ),
    refusedStreams: register.counter('ashlar_recovery_refused_streams_total', 'Streams that a replica refused.', [
      'reason',
    ]),
    damagedBlocks: register.counter(
      'ashlar_recovery_damaged_blocks_total',
      'Reads that found a block whose bytes do not match their checksum.',
    ),
    repairedBlocks: register.counter(
      'ashlar_recovery_repaired_blocks_total',
      'Damaged blocks rewritten from another replica.',
    ),
    unrepairedBlocks: register.counter(
      'ashlar_recovery_unrepaired_blocks_total',
      'Damaged blocks without a sound copy on another replica: reads fail.',
    ),
  }
}
