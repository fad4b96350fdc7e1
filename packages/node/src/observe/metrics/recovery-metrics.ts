import type { Register } from '../register.ts'

/** Replicas that catch up, and blocks that were damaged. */
export type RecoveryMetrics = ReturnType<typeof recoveryMetrics>

export function recoveryMetrics(register: Register) {
  return {
    behindBlocks: register.gauge(
      'ashlar_recovery_behind_blocks',
      'Blocks that replicas still need from primaries here. Stays above 0 while nothing is copied: recovery is stuck.',
      ['volume'],
    ),
    streams: register.gauge('ashlar_recovery_streams', 'Streams from primaries here to replicas, by phase.', ['phase']),
    yieldingStreams: register.gauge(
      'ashlar_recovery_yielding_streams',
      'Copies from primaries here that take turns, because clients are served.',
    ),
    comparedStreams: register.counter(
      'ashlar_recovery_compared_streams_total',
      'Streams whose two ends were compared: each restart of a node and each rejoin is one for an extent.',
    ),
    listedBlocks: register.counter(
      'ashlar_recovery_listed_blocks_total',
      'Blocks that a comparison found to differ and put on the list to copy.',
    ),
    copiedBlocks: register.counter('ashlar_recovery_copied_blocks_total', 'Blocks copied to joining replicas.'),
    copiedBytes: register.counter('ashlar_recovery_copied_bytes_total', 'Bytes copied to joining replicas.'),
    markedStreams: register.counter('ashlar_recovery_marked_streams_total', 'Copies that were completed.'),
    closedStreams: register.counter('ashlar_recovery_closed_streams_total', 'Streams that broke and are opened again.'),
    refusedStreams: register.counter('ashlar_recovery_refused_streams_total', 'Streams that a replica refused.', [
      'reason',
    ]),
    damagedBlocks: register.counter(
      'ashlar_recovery_damaged_blocks_total',
      'Reads that found a block whose bytes do not match their checksum.',
    ),
    repairedBlocks: register.counter(
      'ashlar_recovery_repaired_blocks_total',
      'Damaged blocks written again from another replica.',
    ),
    unrepairedBlocks: register.counter(
      'ashlar_recovery_unrepaired_blocks_total',
      'Damaged blocks of which no other replica had a good copy: readers get an error.',
    ),
  }
}
