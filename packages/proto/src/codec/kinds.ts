import { type AnyMessage, MESSAGE_KINDS, type MessageType, WIRE_VERSION_MIN } from '@ashlar/proto'
import { CLIENT_KINDS } from './client-kinds.ts'
import { CONTROL_KINDS } from './control-kinds.ts'
import type { KindCodec } from './kind-codec.ts'
import { MAP_KINDS } from './map-kinds.ts'
import { PEER_KINDS } from './peer-kinds.ts'
import { RAFT_KINDS } from './raft-kinds.ts'
import { RECOVERY_KINDS } from './recovery-kinds.ts'

type Codecs = { readonly [T in MessageType]: KindCodec<Extract<AnyMessage, { type: T }>> }

/** One codec a kind: a kind that is missing here does not compile. */
const CODECS: Codecs = {
  ...CLIENT_KINDS,
  ...CONTROL_KINDS,
  ...MAP_KINDS,
  ...PEER_KINDS,
  ...RAFT_KINDS,
  ...RECOVERY_KINDS,
}

/**
 * Wire version of a link until its handshake has chosen one: it carries messages of the handshake, and no other does.
 */
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
