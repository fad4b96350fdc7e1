import { type Bytes, LIMITS, type Message } from '@ashlar/proto'
import { messageBytes } from '@ashlar/proto/codec'
import { FRAME_TARGET_BYTES } from './options.ts'

/** Messages of one link that no frame holds yet, first in, first out. They wait as they are: encoding copies payloads. */
export class SendQueue {
  private readonly messages: Message[] = []
  private readonly sizes: Bytes[] = []
  /** Entries before this index were taken. */
  private head = 0
  /** Sum of the sizes of what waits. */
  bytes: Bytes = 0

  get isEmpty(): boolean {
    return this.head === this.messages.length
  }

  add(message: Message): void {
    const size = messageBytes(message)
    this.messages.push(message)
    this.sizes.push(size)
    this.bytes += size
  }

  /** Messages for one frame: one at least, more while they stay within FRAME_TARGET_BYTES and LIMITS.frameRecords. */
  take(): Message[] {
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
    this.bytes -= bytes
    this.forgetTaken()
    return taken
  }

  clear(): void {
    this.messages.length = 0
    this.sizes.length = 0
    this.head = 0
    this.bytes = 0
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
