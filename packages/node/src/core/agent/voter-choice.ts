import { LIMITS, type Millis, type StoreId, TIMERS, type Voter } from '@ashlar/proto'
import type { Link } from '../machine.ts'

/** After every voter said that it does not lead: how long until they are asked again. */
const PAUSE_MS = 100
/** How often a voter that is elected may say that it does not lead, a tick apart, until it is asked like the others. */
const ELECTED_REFUSALS = TIMERS.electionMinMs / TIMERS.tickMs

/**
 * Which voter is asked: the one that led last, until it says that it does not, does not answer, or cannot be reached;
 * then the next one. A voter that knows who leads may say so. With one voter there is nothing to choose.
 */
export class VoterChoice {
  private voters: readonly Voter[] = []
  private at = 0
  /** Refusals since a voter last answered as a leader. */
  private refusals = 0
  private pausedUntil = Number.NEGATIVE_INFINITY
  /** Moment of the oldest question that was not answered. */
  private unansweredSince: Millis | undefined
  /** The voter that answered as a leader last. */
  private leaderStore: StoreId | undefined
  /** The voter that leads by the log of this very node, and how often it said no since. */
  private elected: StoreId | undefined
  private electedRefusals = 0

  /** The voters as the map or founding tells them; the one that is asked stays if it is among them. */
  learn(voters: readonly Voter[]): void {
    if (voters === this.voters) return
    const asked = this.current?.store
    this.voters = voters
    const at = voters.findIndex((voter) => voter.store === asked)
    if (at >= 0) this.at = at
  }

  /**
   * Others greet with these voters. Those that are new are asked too, after the others: who was away while control moved to
   * voters that it never heard of asks only some that do not lead, and nobody else tells it of the map. What they know may be
   * old, so it replaces nothing.
   */
  learnMore(voters: readonly Voter[]): void {
    const more = voters.filter(({ store }) => this.voters.every((voter) => voter.store !== store))
    if (more.length > 0 && this.voters.length < LIMITS.knownVoters) this.voters = [...this.voters, ...more]
  }

  /** All that may be asked. Another list whenever they change. */
  get all(): readonly Voter[] {
    return this.voters
  }

  get current(): Voter | undefined {
    return this.voters[this.at % Math.max(1, this.voters.length)]
  }

  /** The voter that answered as a leader last, as long as nothing speaks against it. */
  get leader(): StoreId | undefined {
    return this.leaderStore !== undefined && this.leaderStore === this.current?.store ? this.leaderStore : undefined
  }

  /** No voter is asked at this moment: each of them has just said that it does not lead. */
  isPaused(now: Millis): boolean {
    return now < this.pausedUntil
  }

  /**
   * This voter leads, as somebody knows who takes part in the log; undefined: nobody does, as far as that one knows. It may be one that neither the map nor founding has told
   * of yet, when those that they told of are no longer voters: then nobody else would ever be asked who knows the map.
   */
  hint(leader: Voter | undefined): void {
    this.elected = leader?.store
    this.electedRefusals = 0
    if (leader === undefined) return
    let at = this.voters.findIndex((voter) => voter.store === leader.store)
    if (at < 0) {
      at = this.voters.length
      this.voters = [...this.voters, leader]
    }
    this.pausedUntil = Number.NEGATIVE_INFINITY
    if (at === this.at) return
    this.at = at
    this.unansweredSince = undefined
  }

  /** Passes over voters that cannot be reached, and over one that has not answered for long. */
  seek(now: Millis, linkOf: (voter: Voter) => Link | undefined): void {
    if (this.voters.length < 2) return
    if (this.unansweredSince !== undefined && now - this.unansweredSince >= TIMERS.controlRetryMs) this.next()
    const isReached = () => this.current !== undefined && linkOf(this.current) !== undefined
    for (let tried = 1; tried < this.voters.length && !isReached(); tried++) this.next()
  }

  /** Something was asked. */
  asked(now: Millis): void {
    this.unansweredSince ??= now
  }

  /** The voter that is asked answered, as a leader does. True: it did not before, and may have passed over what it was asked. */
  answered(): boolean {
    const before = this.leaderStore
    this.leaderStore = this.current?.store
    this.unansweredSince = undefined
    this.refusals = 0
    return this.leaderStore !== before
  }

  /**
   * The voter that is asked says that it does not lead. One that is elected will as soon as its first entry is committed: to
   * ask another one meanwhile, who may be the one that hangs, would take longer. But a node that was removed from the log
   * believes for ever what it heard last.
   */
  refused(now: Millis): void {
    const elected = this.elected !== undefined && this.elected === this.current?.store
    if (elected && ++this.electedRefusals <= ELECTED_REFUSALS) {
      this.leaderStore = undefined
      this.unansweredSince = undefined
      this.pausedUntil = now + TIMERS.tickMs
      return
    }
    this.next()
    if (++this.refusals % Math.max(1, this.voters.length) === 0) this.pausedUntil = now + PAUSE_MS
  }

  private next(): void {
    this.leaderStore = undefined
    this.at = (this.at + 1) % Math.max(1, this.voters.length)
    this.unansweredSince = undefined
  }
}
