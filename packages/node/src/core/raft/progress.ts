import type { Millis } from '@ashlar/proto'
import type { Snapshot } from './stored.ts'

/**
 * What a leader knows of one follower.
 *
 *   probe ──accepted──> replicate        probe: one message with entries at a time, until the place where the logs agree is known
 *     ^ ^────refused───────┘ │           replicate: messages follow each other without waiting for answers
 *     └──installed── snapshot <─┘ the next entry is compacted away
 */
export class Progress {
  /** Entries up to here are on its stable storage. 0 until it says so. */
  match = 0
  /** The next entry to send. */
  next: number
  state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  /** A probe is on its way: until its answer, or a heartbeat's, only heartbeats are sent. */
  paused = false
  /** Moment of its last answer in this term. */
  heardAt: Millis
  /** Latest read-index round that it answered. */
  round = 0
  /** The snapshot on its way, and how much of it has arrived. */
  snapshot: { readonly content: Snapshot; offset: number; sentAt: Millis } | undefined
  /** Last indexes of the messages with entries that are on their way. */
  private inFlight: number[] = []

  constructor(next: number, now: Millis) {
    this.next = next
    this.heardAt = now
  }

  maySend(messagesInFlight: number): boolean {
    if (this.state === 'replicate') return this.inFlight.length < messagesInFlight
    return this.state === 'probe' && !this.paused
  }

  /** Entries up to `last` were sent. */
  sent(last: number): void {
    if (this.state === 'probe') this.paused = true
    else {
      this.next = last + 1
      this.inFlight.push(last)
    }
  }

  /** The logs agree up to `match`, durably there. */
  accepted(match: number): void {
    if (match > this.match) this.match = match
    this.inFlight = this.inFlight.filter((last) => last > match)
    this.next = Math.max(this.next, match + 1)
    this.paused = false
    if (this.state === 'snapshot' && match < (this.snapshot?.content.index ?? 0)) return
    if (this.state === 'replicate') return
    this.state = 'replicate'
    this.snapshot = undefined
    this.next = this.match + 1
  }

  /** The follower has no entry `refused` like the leader's. False: an answer to something older than what is known. */
  refused(refused: number, hint: number): boolean {
    if (this.state === 'snapshot' || refused <= this.match) return false
    if (this.state === 'probe' && refused !== this.next - 1) return false
    this.state = 'probe'
    this.paused = false
    this.inFlight = []
    this.next = Math.max(this.match + 1, Math.min(refused, hint + 1))
    return true
  }

  beginSnapshot(content: Snapshot): void {
    this.state = 'snapshot'
    this.snapshot = { content, offset: 0, sentAt: Number.NEGATIVE_INFINITY }
    this.inFlight = []
  }
}
