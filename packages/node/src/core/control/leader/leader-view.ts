import type { Bytes, Millis, SessionId, StoreId } from '@ashlar/proto'
import type { Link } from '../../machine.ts'

/** A store's lease, for the API. */
export interface LeaseView {
  readonly store: StoreId
  readonly counter: number
  /** Since the last renewal, or since this leader granted the lease without one. */
  readonly ageMs: Millis
  /** False: granted by this leader without a renewal (CTL-7). */
  readonly confirmed: boolean
  readonly freeBytes: Bytes | undefined
  /** Map revision that the store reported as applied. */
  readonly revision: number
  /** Feature level that the store reported; undefined before its first renewal with this leader. */
  readonly level: number | undefined
}

/** A session that holds a volume, as far as only the leader knows it, for the API. */
export interface HolderView {
  readonly session: SessionId
  readonly owner: string | undefined
  /** Undefined: not heard of since this leader began, or since it was paused. */
  readonly heardMsAgo: Millis | undefined
  /** Of the node that relayed its last renewal. */
  readonly link: Link | undefined
}

/** The same with the node that relayed the last renewal, for readers without links. */
export interface HeldSession extends Omit<HolderView, 'link'> {
  readonly through: StoreId | undefined
}

/** An attachment that is committed and waits for primaries, for the API. */
export interface AttachView {
  readonly volume: string
  readonly client: string
  readonly waitsFor: readonly StoreId[]
}
