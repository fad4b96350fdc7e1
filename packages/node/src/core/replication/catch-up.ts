import type { Millis, Seq, StoreId } from '@ashlar/proto'
import type { OutStream } from './stream.ts'

/** A store that is never more than this behind what is committed is made to catch up: writes wait for it that long, once. */
const CLOSE_MS: Millis = 1000

/**
 * Brings a replica to an end that follows closely and never catches up. What is committed does not wait for it, so that over a line that is
 * never idle it stays behind by what is on its way to it, for as long as clients write. A store that received within a second what was
 * committed at its beginning has to acknowledge from then on, like one that is being added (A2.7-9), and so catches up. Control was
 * not asked yet, so that it may be let go at any moment.
 */
export class CatchUp {
  /** It must acknowledge. */
  store: StoreId | undefined
  /** What was committed when a store was first seen to be behind it. */
  private readonly behind = new Map<StoreId, { readonly since: Millis; readonly seq: Seq }>()

  /** Looks at the streams of those that could be added but for what they lack, at most. */
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
