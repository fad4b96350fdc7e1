import type { Millis, Seq, StoreId } from '@ashlar/proto'
import type { OutStream } from './stream.ts'

/** A replica that lags by at most this may be made to catch up: writes wait for it that long, once. */
const CLOSE_MS: Millis = 1000

/**
 * Lets a replica catch up that follows closely on a line that is never idle: commits do not wait for it, so that it
 * would lag by the writes in flight for as long as clients write. A replica that has received within a second what was
 * committed at its beginning has to acknowledge from then on, like one that is being added (A2.7-9). No request was
 * sent to control yet, so the primary may drop this at any moment.
 */
export class CatchUp {
  /** The store that has to acknowledge. */
  store: StoreId | undefined
  /** The commit point when a store was first seen to lag. */
  private readonly behind = new Map<StoreId, { readonly since: Millis; readonly seq: Seq }>()

  /** Examines the streams of replicas that could be added if they had caught up. */
  look(now: Millis, followers: readonly OutStream[], commitSeq: Seq): void {
    if (this.store !== undefined) return
    for (const store of this.behind.keys())
      if (!followers.some((stream) => stream.store === store)) this.behind.delete(store)
    for (const { store, ackedSeq } of followers) {
      const mark = this.behind.get(store)
      if (mark !== undefined && now - mark.since < CLOSE_MS) continue
      if (mark !== undefined && ackedSeq >= mark.seq) return this.begin(store)
      this.behind.set(store, { since: now, seq: commitSeq })
    }
  }

  end(): void {
    this.store = undefined
    this.behind.clear()
  }

  private begin(store: StoreId): void {
    this.end()
    this.store = store
  }
}
