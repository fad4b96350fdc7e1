import { type AnyMessage, MESSAGE_KINDS, type MessageType, WIRE_VERSION_MIN } from '@ashlar/proto'
import {
  allocationKind,
  answerKind,
  cancelKind,
  queryAllocationKind,
  readDoneKind,
  readKind,
  writeKind,
  zeroKind,
} from './client-kinds.ts'
import {
  adminKind,
  confirmedKind,
  confirmKind,
  fencedKind,
  getMapKind,
  getVersionsKind,
  getWindowsKind,
  greetKind,
  helloKind,
  openKind,
  openRefusedKind,
  promisesKind,
  refusedKind,
  registeredKind,
  registerKind,
  releasedKind,
  renewedKind,
  renewKind,
  streamClosedKind,
  welcomeKind,
} from './control-kinds.ts'
import type { KindCodec } from './kind-codec.ts'
import { adminDoneKind, changeSetsKind, mapUpdateKind, releaseKind, setsChangedKind } from './map-kinds.ts'
import { ackKind, pingKind, pushKind, replicateKind } from './peer-kinds.ts'
import {
  appendEntriesKind,
  appendedKind,
  askVoteKind,
  installSnapshotKind,
  leadNowKind,
  snapshotReceivedKind,
  voteKind,
} from './raft-kinds.ts'
import {
  digestsKind,
  fetchBlockKind,
  fetchedBlockKind,
  getDigestsKind,
  markKind,
  openedKind,
  versionsKind,
  windowsKind,
} from './recovery-kinds.ts'

type Codecs = { readonly [T in MessageType]: KindCodec<Extract<AnyMessage, { type: T }>> }

/** One codec a kind: a kind that is missing here does not compile. */
const CODECS: Codecs = {
  hello: helloKind,
  welcome: welcomeKind,
  refused: refusedKind,
  write: writeKind,
  zero: zeroKind,
  read: readKind,
  'query-allocation': queryAllocationKind,
  cancel: cancelKind,
  answer: answerKind,
  'read-done': readDoneKind,
  allocation: allocationKind,
  replicate: replicateKind,
  push: pushKind,
  ack: ackKind,
  ping: pingKind,
  open: openKind,
  opened: openedKind,
  'open-refused': openRefusedKind,
  'get-digests': getDigestsKind,
  digests: digestsKind,
  'get-versions': getVersionsKind,
  versions: versionsKind,
  mark: markKind,
  fenced: fencedKind,
  'stream-closed': streamClosedKind,
  'fetch-block': fetchBlockKind,
  'fetched-block': fetchedBlockKind,
  confirm: confirmKind,
  confirmed: confirmedKind,
  'get-windows': getWindowsKind,
  windows: windowsKind,
  greet: greetKind,
  register: registerKind,
  registered: registeredKind,
  renew: renewKind,
  renewed: renewedKind,
  'get-map': getMapKind,
  'map-update': mapUpdateKind,
  'change-sets': changeSetsKind,
  'sets-changed': setsChangedKind,
  release: releaseKind,
  released: releasedKind,
  promises: promisesKind,
  admin: adminKind,
  'admin-done': adminDoneKind,
  'ask-vote': askVoteKind,
  vote: voteKind,
  'append-entries': appendEntriesKind,
  appended: appendedKind,
  'install-snapshot': installSnapshotKind,
  'snapshot-received': snapshotReceivedKind,
  'lead-now': leadNowKind,
}

/** Wire version of a link until its handshake has chosen one: it carries messages of the handshake, and no other does. */
export const HANDSHAKE_WIRE_VERSION = 1
/** Messages of the handshake: alone in their frame, and only before the link is open. */
const HANDSHAKE_TYPES: ReadonlySet<string> = new Set(['hello', 'welcome', 'refused'])

/** A kind with its number and its codec, as frames use it. */
export interface Kind {
  readonly type: MessageType
  readonly number: number
  /** First wire version that has it. */
  readonly since: number
  readonly codec: KindCodec<AnyMessage>
}

const BY_TYPE: ReadonlyMap<string, Kind> = new Map(
  (Object.keys(CODECS) as MessageType[]).map((type) => [
    type,
    {
      type,
      number: MESSAGE_KINDS[type],
      since: kindSince(type),
      codec: CODECS[type] as unknown as KindCodec<AnyMessage>,
    },
  ]),
)
const BY_NUMBER: ReadonlyMap<number, Kind> = new Map([...BY_TYPE.values()].map((kind) => [kind.number, kind]))

export function kindOf(type: string): Kind | undefined {
  return BY_TYPE.get(type)
}

/** First wire version that has a kind: HANDSHAKE_WIRE_VERSION for what only a handshake carries. */
export function kindSince(type: MessageType): number {
  return HANDSHAKE_TYPES.has(type) ? HANDSHAKE_WIRE_VERSION : (CODECS[type].since ?? WIRE_VERSION_MIN)
}

export function kindNumbered(number: number): Kind | undefined {
  return BY_NUMBER.get(number)
}
