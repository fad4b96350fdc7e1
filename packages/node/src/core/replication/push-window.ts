import type { Bytes } from '@ashlar/proto'

/** Entries at the front that were acknowledged are dropped once there are this many, and they are half of all. */
const DROP_AT = 1024

/**
 * Copied blocks in flight to one replica, numbered from 1 on in the order in which they were sent, and the bytes in
 * flight or being read for it (A2.9-2). The copy stays within the window; new writes go out at once, so that the set
 * only shrinks. A discard makes hundreds of thousands of entries, so an entry costs O(1).
 */
export class PushWindow {
  private sent: Bytes[] = []
  /** Index of the oldest block that is not acknowledged. */
  private oldest = 0
  /** Entries that were dropped from the front of `sent`. */
  private dropped = 0
  /** Bytes in flight, and those that `reserve` named. */
  bytes: Bytes = 0

  /** The last number that was assigned; 0 before the first. */
  get last(): number {
    return this.dropped + this.sent.length
  }

  /** Counts bytes that are being read; a negative number takes them back. */
  reserve(bytes: Bytes): void {
    this.bytes += bytes
  }

  /** Assigns the next number to a block of so many bytes. */
  send(bytes: Bytes): number {
    this.sent.push(bytes)
    this.bytes += bytes
    return this.last
  }

  /** The replica has this block and every one before it. False: that was known. */
  acknowledge(push: number): boolean {
    const end = Math.min(this.sent.length, push - this.dropped)
    if (end <= this.oldest) return false
    for (; this.oldest < end; this.oldest++) this.bytes -= this.sent[this.oldest] ?? 0
    if (this.oldest < DROP_AT || 2 * this.oldest < this.sent.length) return true
    this.sent = this.sent.slice(this.oldest)
    this.dropped += this.oldest
    this.oldest = 0
    return true
  }

  /** A new stream counts from 1 again. */
  clear(): void {
    this.sent = []
    this.oldest = 0
    this.dropped = 0
    this.bytes = 0
  }
}
