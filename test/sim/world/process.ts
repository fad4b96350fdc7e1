import type { Message, Millis } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { Chance } from './chance.ts'
import type { Endpoint, Hello } from './connection.ts'
import type { Network } from './network.ts'
import type { Clock } from './time.ts'

/**
 * One incarnation of one process: its inputs are handled one at a time, and not at all while its host is paused or
 * suspended. Its clock runs at a rate of its own and starts anywhere.
 */
export abstract class Process implements Endpoint {
  readonly host: string
  protected readonly clock: Clock
  protected readonly network: Network
  private readonly rate: number
  private readonly epochMs: Millis
  private dead = false
  /** Pauses that are not over. */
  private pauses = 0
  /** How long the host was suspended, by its clock, and since when it is. */
  private suspendedMs: Millis = 0
  private suspendedAt: Millis | undefined
  private inbox: (() => void)[] = []
  private links = 0

  constructor(host: string, rate: number, world: { clock: Clock; network: Network; chance: Chance }) {
    this.host = host
    this.rate = rate
    this.clock = world.clock
    this.network = world.network
    this.epochMs = world.chance.between(1000, 1_000_000) - this.clock.now * rate
  }

  abstract hello(): Hello
  abstract linkUp(link: number, direction: 'in' | 'out', peer: Hello, dialedAddress: string): void
  abstract linkDown(link: number): void
  abstract messages(link: number, messages: readonly Message[]): void
  abstract dialFailed(address: string, reason: string): void
  protected abstract tick(): void

  /** Milliseconds by this process's own clock. */
  now(): Millis {
    return this.monotonic()
  }

  /** Milliseconds that passed while the host was not suspended. */
  protected monotonic(): Millis {
    const now = this.sinceBoot()
    const suspendedMs = this.suspendedAt === undefined ? 0 : now - this.suspendedAt
    return now - suspendedMs - this.suspendedMs
  }

  /** Milliseconds, those in which the host was suspended included. */
  protected sinceBoot(): Millis {
    return this.epochMs + this.clock.now * this.rate
  }

  /** What the shell of a process does before anything that came is handled. */
  protected beforeTurn(): void {}

  alive(): boolean {
    return !this.dead
  }

  get suspended(): boolean {
    return this.suspendedAt !== undefined
  }

  newLink(): number {
    return ++this.links
  }

  run(action: () => void): void {
    if (this.dead) return
    if (this.paused()) this.inbox.push(action)
    else this.turn(action)
  }

  /** The host pauses; the clock does not. */
  pause(forMs: number): void {
    this.pauses++
    this.clock.after(forMs, () => {
      this.pauses--
      this.wake()
    })
  }

  /**
   * The host pauses, and its monotonic clock with it. What comes meanwhile waits, and is there before the next tick:
   * timers go by that clock. False when it is suspended already.
   */
  suspend(forMs: number): boolean {
    if (this.suspendedAt !== undefined) return false
    this.suspendedAt = this.sinceBoot()
    this.pauses++
    this.clock.after(forMs, () => {
      this.suspendedMs += this.sinceBoot() - (this.suspendedAt ?? 0)
      this.suspendedAt = undefined
      this.pauses--
      this.wake()
    })
    return true
  }

  /** Ends this incarnation. Silent: the peers are not notified. */
  protected end(silent: boolean): void {
    if (this.dead) return
    this.dead = true
    this.inbox = []
    this.network.processEnded(this, silent)
  }

  protected startTicking(chance: Chance): void {
    const periodMs = TIMERS.tickMs / this.rate
    const next = (): void => {
      if (this.dead) return
      // While the host is paused one tick waits at most: timers of a process that was stopped do not pile up.
      if (!this.paused()) this.turn(() => this.tick())
      this.clock.after(periodMs, next)
    }
    this.clock.after(chance.between(0, periodMs), next)
  }

  private paused(): boolean {
    return this.pauses > 0
  }

  private wake(): void {
    if (this.dead || this.paused()) return
    const inbox = this.inbox
    this.inbox = []
    for (const action of inbox) this.run(action)
  }

  private turn(action: () => void): void {
    this.beforeTurn()
    action()
    this.network.flush()
  }
}
