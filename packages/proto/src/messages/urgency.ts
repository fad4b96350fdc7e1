import type { Message } from './index.ts'

/**
 * Which messages between two nodes never wait behind bulk (amendment 36). Urgent is what a lease, the lead of control or the
 * silence of a peer depends on, with all that has to come in order with it: a renewal counts only once the map is at the
 * revision that its answer names, so that the map goes with it. Bulk is what carries blocks or lists of them, with all that
 * has to come in order with that: a stream is one FIFO (A2.4). A kind without a line here does not compile.
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
  admin: true,
  'admin-done': true,
  'ask-vote': true,
  vote: true,
  'append-entries': true,
  appended: true,
  // Megabytes of state, for a voter that is too far behind to count: nothing waits for it.
  'install-snapshot': false,
  'snapshot-received': true,
  'lead-now': true,
} as const satisfies Record<Message['type'], boolean>

/** First wire version in which two nodes have a connection of its own for what is urgent. */
export const URGENT_LANE_WIRE = 3

/** True when this message, between two nodes, goes before bulk. Two that are both urgent, or both not, stay in order. */
export function isUrgent(message: Message): boolean {
  return URGENT[message.type]
}
