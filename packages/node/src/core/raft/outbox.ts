import type { Millis, RaftMessage } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { RaftLog } from './log.ts'
import type { HardState, PersistRequest } from './stored.ts'
import type { RaftPorts } from './types.ts'

/** A request that the disk has not answered. */
interface Asked {
  readonly token: number
  readonly askedAt: Millis
}

interface Held {
  /** The request that must be durable before the message leaves. */
  readonly after: number
  readonly message: RaftMessage
}

/**
 * Persist before send: writes the changes of a step as one request, and sends a message only when all earlier changes
 * are durable. Messages of a leader are exempt: its term and vote are durable, and followers may write its entries
 * before it.
 */
export class Outbox {
  private readonly ports: RaftPorts
  private readonly log: RaftLog
  private hardState: HardState
  private hardStateChanged = false
  /** The request that made the newest term and vote durable. */
  private hardStateToken = 0
  private lastToken = 0
  private durableToken = 0
  /** In the order in which they are carried out. */
  private asked: Asked[] = []
  /** When the disk last answered, or began to have time that counts. */
  private answeredAt: Millis = Number.NEGATIVE_INFINITY
  private prompt: RaftMessage[] = []
  /** Messages of this step that depend on what it persists. */
  private dependent: RaftMessage[] = []
  private held: Held[] = []

  constructor(ports: RaftPorts, log: RaftLog, hardState: HardState) {
    this.ports = ports
    this.log = log
    this.hardState = hardState
  }

  get term(): number {
    return this.hardState.term
  }

  get vote(): HardState['vote'] {
    return this.hardState.vote
  }

  /** True when term and vote, as they are now, are on stable storage. */
  get hardStateDurable(): boolean {
    return !this.hardStateChanged && this.hardStateToken <= this.durableToken
  }

  /** The log lacks what this store may have acknowledged. */
  get recovering(): boolean {
    return this.hardState.recovering === true
  }

  /** The log holds all of that again. */
  endRecovery(): void {
    const { term, vote } = this.hardState
    this.hardState = { term, vote }
    this.hardStateChanged = true
  }

  /** A new term, or a vote in this one. Pending responses of an earlier term are dropped. */
  setHardState(hardState: { readonly term: number; readonly vote: HardState['vote'] }): void {
    if (hardState.term !== this.hardState.term) {
      this.held = this.held.filter(({ message }) => message.term >= hardState.term)
      this.dependent = this.dependent.filter((message) => message.term >= hardState.term)
    }
    this.hardState = { ...hardState, ...(this.recovering ? { recovering: true } : {}) }
    this.hardStateChanged = true
  }

  /** Leaves at the end of this step. For the leader's own messages. */
  sendNow(message: RaftMessage): void {
    this.prompt.push(message)
  }

  /** Leaves once everything that was changed before it is durable. */
  sendAfterPersist(message: RaftMessage): void {
    this.dependent.push(message)
  }

  /** How long the disk has worked on its oldest request; 0 without one. */
  waitedMs(now: Millis): Millis {
    const [oldest] = this.asked
    return oldest === undefined ? 0 : now - Math.max(oldest.askedAt, this.answeredAt)
  }

  /** This process stood still: an answer may wait behind this very step. */
  stoodStill(now: Millis): void {
    this.answeredAt = now
  }

  onPersisted(token: number, now: Millis): void {
    this.asked = this.asked.filter((request) => request.token > token)
    this.answeredAt = now
    this.durableToken = Math.max(this.durableToken, token)
    this.log.saved(token)
  }

  /** Gives the disk what changed, and the network what may leave. */
  flush(ctx: Context): void {
    this.persist(ctx)
    const due: RaftMessage[] = this.prompt
    this.prompt = []
    for (const message of this.dependent) this.held.push({ after: this.lastToken, message })
    this.dependent = []
    for (const { after, message } of this.held) if (after <= this.durableToken) due.push(message)
    this.held = this.held.filter(({ after }) => after > this.durableToken)
    for (const message of due) this.ports.send(ctx, message)
  }

  private persist(ctx: Context): void {
    const token = this.lastToken + 1
    const append = this.log.takeUnsaved(token)
    const snapshot = this.log.takeUnsavedSnapshot()
    if (append === undefined && snapshot === undefined && !this.hardStateChanged) return
    this.lastToken = token
    this.asked.push({ token, askedAt: ctx.now })
    const request: PersistRequest = {
      token,
      ...(this.hardStateChanged ? { hardState: this.hardState } : {}),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(append === undefined ? {} : { append }),
    }
    if (this.hardStateChanged) this.hardStateToken = token
    this.hardStateChanged = false
    this.ports.persist(ctx, request)
  }
}
