import assert from 'node:assert/strict'
import type { Message, Write } from '@ashlar/proto'
import type { Link, LinkPeer } from '../../src/core/machine.ts'
import type { TransportEvents } from '../../src/transport/transport.ts'

const DEADLINE_MS = 15_000

export interface RecordedLink {
  readonly link: Link
  readonly direction: 'in' | 'out'
  readonly peer: LinkPeer
  /** Messages of each call, so that a test sees what came together. */
  readonly batches: (readonly Message[])[]
  /** Writes that the transport refused, since their payload does not match their checksums. */
  readonly refusedWrites: Write[]
  downs: number
}

/** Records what a transport reports to its owner, checks the promised order, and waits for conditions. */
export class LinkRecorder implements TransportEvents {
  readonly links: RecordedLink[] = []
  /** Set while the test is inside a call of the transport: being called back then breaks the contract. */
  private inside: string | undefined
  /** Breaches found in callbacks, where throwing would only lose them. */
  readonly breaches: string[] = []
  private readonly waiters: Set<() => void> = new Set()

  linkUp(link: Link, direction: 'in' | 'out', peer: LinkPeer): void {
    this.checkNotInside('linkUp')
    if (this.links.some((known) => known.link === link)) this.breaches.push(`link ${link} came up twice`)
    this.links.push({ link, direction, peer, batches: [], refusedWrites: [], downs: 0 })
    this.wake()
  }

  linkDown(link: Link): void {
    this.checkNotInside('linkDown')
    const known = this.find(link, 'linkDown')
    if (known !== undefined && ++known.downs > 1) this.breaches.push(`link ${link} went down twice`)
    this.wake()
  }

  messages(link: Link, messages: readonly Message[]): void {
    this.checkNotInside('messages')
    const known = this.find(link, 'messages')
    if (known !== undefined && known.downs > 0) this.breaches.push(`messages on link ${link} after it went down`)
    if (messages.length === 0) this.breaches.push('an empty batch of messages')
    known?.batches.push(messages)
    this.wake()
  }

  writeRefused(link: Link, write: Write): void {
    this.checkNotInside('writeRefused')
    this.find(link, 'writeRefused')?.refusedWrites.push(write)
    this.wake()
  }

  /** Runs a call of the transport and notes every callback that comes from inside it. */
  within<T>(what: string, call: () => T): T {
    this.inside = what
    try {
      return call()
    } finally {
      this.inside = undefined
    }
  }

  get upLinks(): readonly RecordedLink[] {
    return this.links.filter((link) => link.downs === 0)
  }

  /** Resolves with the first value that is not undefined; fails after a deadline, saying what was waited for. */
  async until<T>(what: string, condition: () => T | undefined): Promise<T> {
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    for (;;) {
      const value = condition()
      if (value !== undefined) return value
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          this.waiters.delete(wake)
          deadline.removeEventListener('abort', onDeadline)
          resolve()
        }
        const onDeadline = (): void => {
          this.waiters.delete(wake)
          reject(
            new assert.AssertionError({ message: `waited in vain: ${what}; links: ${JSON.stringify(this.links)}` }),
          )
        }
        deadline.addEventListener('abort', onDeadline, { once: true })
        this.waiters.add(wake)
      })
    }
  }

  /** A link that is up, by direction and place in time. */
  up(direction: 'in' | 'out', nth = 0): Promise<RecordedLink> {
    return this.until(
      `link number ${nth} ${direction} is up`,
      () => this.links.filter((l) => l.direction === direction)[nth],
    )
  }

  async received(link: RecordedLink, count: number): Promise<readonly Message[]> {
    await this.until(`${count} messages came`, () => (link.batches.flat().length >= count ? true : undefined))
    return link.batches.flat()
  }

  async down(link: RecordedLink): Promise<void> {
    await this.until(`link ${link.link} is down`, () => (link.downs > 0 ? true : undefined))
  }

  private find(link: Link, what: string): RecordedLink | undefined {
    const known = this.links.find((each) => each.link === link)
    if (known === undefined) this.breaches.push(`${what} of link ${link} that never came up`)
    return known
  }

  private checkNotInside(event: string): void {
    if (this.inside !== undefined) this.breaches.push(`${event} was called from inside ${this.inside}`)
  }

  private wake(): void {
    for (const wake of [...this.waiters]) wake()
  }
}
