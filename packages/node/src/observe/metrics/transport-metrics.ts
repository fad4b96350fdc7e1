import type { TransportCounters } from '../../transport/index.ts'
import { mirror, type Register } from '../register.ts'

/** Connections to peers and clients. */
export type TransportMetrics = ReturnType<typeof transportMetrics>

const COUNTERS = {
  sentFrames: ['ashlar_transport_sent_frames_total', 'Frames sent: each carries one message or many.'],
  sentBytes: ['ashlar_transport_sent_bytes_total', 'Bytes of frames sent.'],
  receivedFrames: ['ashlar_transport_received_frames_total', 'Frames received.'],
  receivedBytes: ['ashlar_transport_received_bytes_total', 'Bytes of frames received.'],
  badFrames: [
    'ashlar_transport_bad_frames_total',
    'Frames that were invalid, broke a rule, or carried a block that did not match its checksum.',
  ],
  refusedHandshakes: ['ashlar_transport_refused_handshakes_total', 'Handshakes that either side refused.'],
  foreignConnections: [
    'ashlar_transport_foreign_connections_total',
    'Rejected connections that do not speak the protocol.',
  ],
  fullLinks: ['ashlar_transport_full_links_total', 'Connections closed because their send queue was full.'],
  stalledLinks: [
    'ashlar_transport_stalled_links_total',
    'Connections closed because their send queue made no progress.',
  ],
  unencodableMessages: [
    'ashlar_transport_unencodable_messages_total',
    'Connections closed because a message broke a limit of the wire: a bug of this build.',
  ],
  pausedClients: [
    'ashlar_transport_paused_clients_total',
    'Times that reading from a client was paused because it did not read.',
  ],
  failedDials: ['ashlar_transport_failed_dials_total', 'Dials that did not become a connection.'],
} as const satisfies Record<keyof TransportCounters, readonly [string, string]>

export function transportMetrics(register: Register) {
  return {
    links: register.gauge('ashlar_transport_links', 'Connections that are open.', ['peer', 'direction']),
    linksOpened: register.counter('ashlar_transport_links_opened_total', 'Connections that passed their handshake.', [
      'peer',
      'direction',
    ]),
    linksClosed: register.counter('ashlar_transport_links_closed_total', 'Connections that ended.', [
      'peer',
      'direction',
    ]),
    received: register.counter('ashlar_transport_received_messages_total', 'Messages received, by kind.', ['kind']),
    sent: register.counter('ashlar_transport_sent_messages_total', 'Messages queued to be sent, by kind.', ['kind']),
    notSent: register.counter(
      'ashlar_transport_unsent_messages_total',
      'Dropped messages: the connection was down, or its queue was full, which closes it.',
      ['reason'],
    ),
    /** Exposes the counters of a transport from now on. Call it once. */
    watch(counters: Readonly<TransportCounters>): void {
      for (const key of Object.keys(COUNTERS) as (keyof TransportCounters)[]) {
        const [name, help] = COUNTERS[key]
        mirror(register, name, help, () => counters[key])
      }
    },
  }
}
