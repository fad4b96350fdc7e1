import type { ClusterId, NodeName, StoreId } from '../ids.ts'

/**
 * First frame of the dialing side, before anything else is parsed. `cluster` and `store` are absent where there is none
 * yet (an empty store, a client). `credential` is empty until authentication exists; it is in the format from day one.
 */
export interface Hello {
  readonly type: 'hello'
  readonly kind: 'node' | 'client'
  readonly wire: number
  readonly wireMin: number
  readonly cluster?: ClusterId
  readonly store?: StoreId
  /** Start counter of the sender's store; 0 for a client. */
  readonly counter: number
  readonly name: NodeName | string
  /** host:port at which the sender can be dialed; empty for a client. */
  readonly address: string
  readonly credential: Uint8Array
  /** Feature level that the node's build knows (amendment 24). Absent: 0, or a client. */
  readonly level?: number
  /** Process of a node, for reports. Absent: a client, or an older build. */
  readonly pid?: number
}

/** The response of the accepting side to a valid hello. Fields mean the same. */
export interface Welcome {
  readonly type: 'welcome'
  readonly wire: number
  readonly cluster?: ClusterId
  readonly store: StoreId
  readonly counter: number
  readonly name: NodeName
  readonly address: string
  readonly level?: number
  readonly pid?: number
}

/** The response to an invalid hello; the connection is closed after it. */
export interface Refused {
  readonly type: 'refused'
  /** Number of an error code. */
  readonly code: number
  readonly message: string
}

export type HandshakeMessage = Hello | Welcome | Refused
