import type { Message } from '@ashlar/proto'
import type { Link } from '../core/machine.ts'
import type { Transport } from '../transport/index.ts'

/** Told of links and messages beside the machines, for metrics. Calls must be quick and must not throw. */
export interface Traffic {
  linkUp(link: Link, direction: 'in' | 'out', peer: 'node' | 'client'): void
  linkDown(link: Link): void
  received(link: Link, message: Message): void
  /** `outcome`: what the transport said to the message. */
  sent(link: Link, message: Message, outcome: 'queued' | 'full' | 'down'): void
}

/** The same transport, with every message that is sent told to `traffic`. */
export function observedTransport(transport: Transport, traffic: Traffic | undefined): Transport {
  if (traffic === undefined) return transport
  return {
    setDialed: (addresses) => transport.setDialed(addresses),
    send(link, message) {
      const outcome = transport.send(link, message)
      traffic.sent(link, message, outcome)
      return outcome
    },
    flush: () => transport.flush(),
    closeLink: (link, reason) => transport.closeLink(link, reason),
    close: () => transport.close(),
  }
}
