import type { Register } from '../register.ts'

/** Connections to peers and clients. */
export type TransportMetrics = ReturnType<typeof transportMetrics>

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
      'Messages that were dropped: the connection was down, or its queue full, which closes it.',
      ['reason'],
    ),
  }
}
