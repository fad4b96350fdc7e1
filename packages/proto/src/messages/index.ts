import type { ControlMessage } from './control.ts'
import type { ClientRequest, ClientResponse, PeerData } from './data.ts'
import type { HandshakeMessage } from './handshake.ts'
import type { RaftMessage } from './raft.ts'
import type { RecoveryMessage } from './recovery.ts'

export type * from './control.ts'
export type * from './data.ts'
export type * from './handshake.ts'
export type * from './raft.ts'
export { isRaftMessage } from './raft.ts'
export type * from './recovery.ts'

/** Everything that travels after the handshake. */
export type Message = ClientRequest | ClientResponse | PeerData | RecoveryMessage | ControlMessage | RaftMessage
export type AnyMessage = HandshakeMessage | Message
export type MessageType = AnyMessage['type']

/** Numbers of the kinds on the wire: append-only, a number is never given again. */
export const MESSAGE_KINDS = {
  hello: 1,
  welcome: 2,
  refused: 3,
  write: 16,
  zero: 17,
  read: 18,
  'query-allocation': 19,
  cancel: 20,
  answer: 21,
  'read-done': 22,
  allocation: 23,
  replicate: 32,
  push: 33,
  ack: 34,
  ping: 35,
  open: 48,
  opened: 49,
  'open-refused': 50,
  'get-digests': 51,
  digests: 52,
  'get-versions': 53,
  versions: 54,
  mark: 55,
  fenced: 56,
  'stream-closed': 57,
  'fetch-block': 58,
  'fetched-block': 59,
  confirm: 60,
  confirmed: 61,
  'get-windows': 62,
  windows: 63,
  greet: 64,
  register: 65,
  registered: 66,
  renew: 67,
  renewed: 68,
  'get-map': 69,
  'map-update': 70,
  'change-sets': 71,
  'sets-changed': 72,
  release: 73,
  released: 74,
  admin: 75,
  'admin-done': 76,
  promises: 77,
  ending: 78,
  'ask-vote': 80,
  vote: 81,
  'append-entries': 82,
  appended: 83,
  'install-snapshot': 84,
  'snapshot-received': 85,
  'lead-now': 86,
} as const satisfies Record<MessageType, number>

/**
 * Which messages between two nodes never wait behind bulk (amendment 36). Urgent is what a lease, the leadership of
 * control or the liveness of a peer depends on, with everything that has to keep its order: a renewal counts only when
 * the map is at the revision that its response names, so map-updates are urgent too. Bulk is what carries blocks or
 * lists of them, with everything that has to keep its order: a stream is one FIFO (A2.4). A kind without a line here
 * does not compile.
 */
const URGENT = {
  write: false,
  zero: false,
  read: false,
  'query-allocation': false,
  cancel: false,
  answer: false,
  'read-done': false,
  allocation: false,
  replicate: false,
  push: false,
  ack: false,
  ping: true,
  open: false,
  opened: false,
  'open-refused': false,
  'get-digests': false,
  digests: false,
  'get-versions': false,
  versions: false,
  mark: false,
  fenced: false,
  'stream-closed': false,
  'fetch-block': false,
  'fetched-block': false,
  confirm: true,
  confirmed: true,
  'get-windows': false,
  windows: false,
  greet: true,
  register: true,
  registered: true,
  renew: true,
  renewed: true,
  'get-map': true,
  'map-update': true,
  'change-sets': true,
  'sets-changed': true,
  release: true,
  released: true,
  promises: true,
  ending: true,
  admin: true,
  'admin-done': true,
  'ask-vote': true,
  vote: true,
  'append-entries': true,
  appended: true,
  // Megabytes of state, for a voter that is too far behind to count for a majority: nothing waits for it.
  'install-snapshot': false,
  'snapshot-received': true,
  'lead-now': true,
} as const satisfies Record<Message['type'], boolean>

/** First wire version in which two nodes have a connection of its own for what is urgent. */
export const URGENT_LANE_WIRE = 3

/** True when this message, between two nodes, overtakes bulk. Messages of one class stay in order. */
export function isUrgent(message: Message): boolean {
  return URGENT[message.type]
}
