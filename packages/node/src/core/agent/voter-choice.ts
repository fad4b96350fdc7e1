import { LIMITS, type Millis, type StoreId, TIMERS, type Voter } from '@ashlar/proto'
import type { Link } from '../machine.ts'

/** Pause after every voter said that it does not lead. */
const PAUSE_MS = 100
/** How often the elected voter may say that it does not lead, a tick apart, before others are tried. */
const ELECTED_REFUSALS = TIMERS.electionMinMs / TIMERS.tickMs

/**
 * Chooses the voter for requests: the last leader, until it says that it does not lead, does not respond or cannot be
 * reached; then the next one. The local raft may name the leader.
 */
export class VoterChoice {
  private voters: readonly Voter[] = []
  private at = 0
  /** Refusals since a voter last responded as leader. */
  private refusals = 0
  private pausedUntil = Number.NEGATIVE_INFINITY
  /** Moment of the oldest request without a response. */
  private unansweredSince: Millis | undefined
  /** The voter that last responded as leader. */
  private leaderStore: StoreId | undefined
  /** The leader by this node's own raft, and how often it has refused since. */
  private elected: StoreId | undefined
  private electedRefusals = 0

  /** Voters of the map or of bootstrap; the current choice stays if it is one of them. */
  learn(voters: readonly Voter[]): void {
    if (voters === this.voters) return
    const asked = this.current?.store
    this.voters = voters
    const at = voters.findIndex((voter) => voter.store === asked)
    if (at >= 0) this.at = at
  }

  /**
   * Voters from a peer's greeting. New ones are appended: a node that was down while control moved to other voters
   * would otherwise try only former ones and never get the map. The greeting may be old, so it replaces nothing.
   */
  learnMore(voters: readonly Voter[]): void {
    const more = voters.filter(({ store }) => this.voters.every((voter) => voter.store !== store))
    if (more.length > 0 && this.voters.length < LIMITS.knownVoters) this.voters = [...this.voters, ...more]
  }

  /** All known voters. A new array whenever they change. */
  get all(): readonly Voter[] {
    return this.voters
  }

  get current(): Voter | undefined {
    return this.voters[this.at % Math.max(1, this.voters.length)]
  }

  /** The voter that last responded as leader and has not refused since. */
  get leader(): StoreId | undefined {
    return this.leaderStore !== undefined && this.leaderStore === this.current?.store ? this.leaderStore : undefined
  }

  /** True during the pause after each voter said that it does not lead. */
  isPaused(now: Millis): boolean {
    return now < this.pausedUntil
  }

  /**
   * Sets the leader as reported by the local raft; undefined if it knows none. It may be a voter that is not in the map
   * yet: it is added, or a node whose known voters were all replaced would never find the leader.
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

  /** Skips voters that cannot be reached, or have not responded for long. */
  seek(now: Millis, linkOf: (voter: Voter) => Link | undefined): void {
    if (this.voters.length < 2) return
    if (this.unansweredSince !== undefined && now - this.unansweredSince >= TIMERS.controlRetryMs) this.next()
    const isReached = () => this.current !== undefined && linkOf(this.current) !== undefined
    for (let tried = 1; tried < this.voters.length && !isReached(); tried++) this.next()
  }

  /** A request was sent. */
  asked(now: Millis): void {
    this.unansweredSince ??= now
  }

  /** The voter responded as leader. True: it did not before, and may have ignored earlier requests. */
  answered(): boolean {
    const before = this.leaderStore
    this.leaderStore = this.current?.store
    this.unansweredSince = undefined
    this.refusals = 0
    return this.leaderStore !== before
  }

  /**
   * The voter said that it does not lead. An elected one will once its first entry is committed, so it is tried again:
   * another one may hang. But a node that was removed from raft keeps its last leader, so the tries are limited.
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
