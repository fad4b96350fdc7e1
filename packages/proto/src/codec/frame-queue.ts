import { type AnyMessage, type Bytes, LIMITS, MIB } from '@ashlar/proto'
import { messageBytes } from './frame.ts'

/**
 * Frames are cut near this size: large enough that the cost of a frame does not show, small enough that the other side
 * works on the first while the second is on its way. A larger message gets a frame of its own.
 */
export const FRAME_TARGET_BYTES: Bytes = MIB

/**
 * Messages of one link that no frame holds yet, first in, first out. They wait as they are: encoding copies payloads.
 */
export class FrameQueue<M extends AnyMessage = AnyMessage> {
  private readonly messages: M[] = []
  private readonly sizes: Bytes[] = []
  /** Entries before this index were taken. */
  private head = 0
  private queuedBytes: Bytes = 0

  /** Sum of the sizes of what waits. */
  get bytes(): Bytes {
    return this.queuedBytes
  }

  get isEmpty(): boolean {
    return this.head === this.messages.length
  }

  add(message: M): void {
    const size = messageBytes(message)
    this.messages.push(message)
    this.sizes.push(size)
    this.queuedBytes += size
  }

  /**
   * Messages for one frame: one at least, more while they stay within FRAME_TARGET_BYTES and LIMITS.frameRecords. Empty
   * when nothing waits.
   */
  take(): M[] {
    const start = this.head
    let end = start
    let bytes = 0
    while (end < this.messages.length && end - start < LIMITS.frameRecords) {
      const size = this.sizes[end] as Bytes
      if (end > start && bytes + size > FRAME_TARGET_BYTES) break
      bytes += size
      end++
    }
    const taken = this.messages.slice(start, end)
    this.head = end
    this.queuedBytes -= bytes
    this.forgetTaken()
    return taken
  }

  /** Takes out what waits and matches; the rest keeps its order. */
  withdraw(matches: (message: M) => boolean): void {
    let kept = 0
    for (let index = this.head; index < this.messages.length; index++) {
      const message = this.messages[index] as M
      const size = this.sizes[index] as Bytes
      if (matches(message)) this.queuedBytes -= size
      else {
        this.messages[kept] = message
        this.sizes[kept++] = size
      }
    }
    this.messages.length = kept
    this.sizes.length = kept
    this.head = 0
  }

  clear(): void {
    this.messages.length = 0
    this.sizes.length = 0
    this.head = 0
    this.queuedBytes = 0
  }

  private forgetTaken(): void {
    if (this.isEmpty) this.clear()
    else if (this.head > LIMITS.frameRecords) {
      this.messages.splice(0, this.head)
      this.sizes.splice(0, this.head)
      this.head = 0
    }
  }
}
