import type { LinkPeer } from '@ashlar/node/core'
import type { ClusterId, Message } from '@ashlar/proto'
import type { Backlog } from './bandwidth.ts'

/** What a process says of itself when a connection is made. `wire`: the newest version that it speaks. */
export type Hello = LinkPeer & { readonly cluster?: ClusterId | undefined }

/** A process as the network sees it. */
export interface Endpoint {
  /** Name of its host, by which cuts go. */
  readonly host: string
  alive(): boolean
  /** Runs now, or when the pause of the host is over, in order; never once the process is dead. */
  run(action: () => void): void
  hello(): Hello
  /** It does not let the other side in, whichever of them dialed. */
  refuses?(peer: Hello): boolean
  /** A number for a new connection, never given twice by one process. */
  newLink(): number
  /** `peer.wire` is the version of the connection: the newest that both ends speak. */
  linkUp(link: number, direction: 'in' | 'out', peer: Hello, dialedAddress: string): void
  linkDown(link: number): void
  messages(link: number, messages: readonly Message[]): void
  dialFailed(address: string, reason: string): void
}

/** The last frame of a connection that was closed in order. */
export const END = 'end'
export type Frame = readonly Message[] | typeof END

/** One end of a connection. `waiting`: the handshake is not over. */
export interface End {
  readonly endpoint: Endpoint
  readonly link: number
  /** What this end sends. */
  readonly pipe: Pipe
  other: End
  state: 'waiting' | 'up' | 'closed'
  /** The process will be notified that the connection is down; nothing more is delivered to it. */
  closing: boolean
}

/**
 * What goes one way in order. Two nodes that know amendment 36 have one for what is urgent beside the one for all else.
 */
export interface Lane {
  /** When the last frame arrives that has left. */
  lastAt: number
  /** What has not left its host. */
  readonly backlog: Backlog
}

/** One direction of a connection. */
export interface Pipe {
  /** The sending end. */
  readonly end: End
  /** Version of its frames: the newest that both ends speak. */
  readonly wire: number
  outbox: Message[]
  queuedBytes: number
  readonly bulk: Lane
  readonly urgent: Lane
  stalled: Frame[] | undefined
  broken: boolean
}

/** A new connection; returns its dialing end. */
export function makeConnection(dialer: Endpoint, target: Endpoint): End {
  const wire = Math.min(dialer.hello().wire, target.hello().wire)
  const dialed = makeEnd(dialer, wire)
  const accepted = makeEnd(target, wire)
  dialed.other = accepted
  accepted.other = dialed
  return dialed
}

function makeEnd(endpoint: Endpoint, wire: number): End {
  const lane = (): Lane => ({ lastAt: 0, backlog: [] })
  const lanes = { bulk: lane(), urgent: lane() }
  const pipe: Omit<Pipe, 'end'> = { wire, outbox: [], queuedBytes: 0, ...lanes, stalled: undefined, broken: false }
  const end: Omit<End, 'pipe' | 'other'> = { endpoint, link: endpoint.newLink(), state: 'waiting', closing: false }
  return Object.assign(end, { pipe: Object.assign(pipe, { end: end as End }) }) as End
}

const HEADER_BYTES = 64
const BLOCK_BYTES = 4096

/** Bytes of a message on the wire, roughly: enough to see whether queues stay bounded. */
export function sizeOf(message: Message): number {
  if (message.type === 'replicate') return HEADER_BYTES + message.blocks.length * BLOCK_BYTES
  if (message.type === 'write') return HEADER_BYTES + message.payload.length
  return message.type === 'push' ? HEADER_BYTES + BLOCK_BYTES : HEADER_BYTES
}
