import type { Bytes, Millis, StoreId } from '@ashlar/proto'

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

/** An attachment that is committed and waits for primaries, for the API. */
export interface AttachView {
  readonly volume: string
  readonly client: string
  readonly waitsFor: readonly StoreId[]
}
