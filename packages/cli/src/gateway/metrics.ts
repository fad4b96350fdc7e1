import type { NbdObserver } from '@ashlar/client/nbd'
import { LATENCY_BUCKETS_SECONDS, type Register } from '@ashlar/node/internal'

/** What NBD clients see of a gateway. */
export interface GatewayMetrics {
  readonly observer: Required<Omit<NbdObserver, 'exportLost'>>
  insecureListener(address: string): void
}

export function gatewayMetrics(register: Register): GatewayMetrics {
  const byCommand = ['export', 'command'] as const
  const opened = register.counter('ashlar_gateway_connections_opened_total', 'NBD connections accepted.')
  const closed = register.counter('ashlar_gateway_connections_closed_total', 'NBD connections ended, by reason.', [
    'reason',
  ])
  const refused = register.counter('ashlar_gateway_connections_refused_total', 'NBD connections over a limit.', [
    'limit',
  ])
  const requests = register.counter('ashlar_gateway_requests_total', 'NBD requests answered, by errno (0: success).', [
    ...byCommand,
    'errno',
  ])
  const seconds = register.histogram(
    'ashlar_gateway_request_seconds',
    'Time from the receipt of an NBD request to its answer.',
    LATENCY_BUCKETS_SECONDS,
    byCommand,
  )
  const bytes = register.counter('ashlar_gateway_request_bytes_total', 'Bytes of NBD requests answered.', byCommand)
  const paused = register.counter(
    'ashlar_gateway_input_pauses_total',
    'Times that a connection was not read from because of a limit.',
    ['limit'],
  )
  const insecure = register.gauge(
    'ashlar_gateway_insecure_listener',
    '1 for each listener that is open to the network without TLS and credentials (--insecure).',
    ['address'],
  )
  return {
    insecureListener: (address) => insecure.set({ address }, 1),
    observer: {
      connectionOpened: () => opened.add({}),
      connectionClosed: (reason) => closed.add({ reason }),
      connectionRefused: (limit) => refused.add({ limit }),
      inputPaused: (limit) => paused.add({ limit }),
      requestFinished(request) {
        const labels = { export: request.exportName, command: request.command }
        requests.add({ ...labels, errno: String(request.errno) })
        seconds.observe(labels, request.seconds)
        bytes.add(labels, request.bytes)
      },
    },
  }
}
