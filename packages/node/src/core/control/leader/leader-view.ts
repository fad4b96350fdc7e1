import type { Bytes, Millis, StoreId } from '@ashlar/proto'

/** A store's lease, as people see it. */
export interface LeaseView {
  readonly store: StoreId
  readonly counter: number
  /** Since the last renewal, or since this leader granted the lease unheard. */
  readonly ageMs: Millis
  /** False: granted by this leader without having heard the store (CTL-7). */
  readonly confirmed: boolean
  readonly freeBytes: Bytes | undefined
  /** Map revision that the store said it has applied. */
  readonly revision: number
  /** Feature level that it said it knows; undefined while this leader has not heard it. */
  readonly level: number | undefined
}

/** An attachment that is committed and waits for primaries, as people see it. */
export interface AttachView {
  readonly volume: string
  readonly client: string
  readonly waitsFor: readonly StoreId[]
}
