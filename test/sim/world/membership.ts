import type { NodeStart } from '@ashlar/node/core'
import type { StoreId } from '@ashlar/proto'
import type { ControlTruth } from '../checkers/control-truth.ts'
import type { Disk } from './disk.ts'
import type { Clock } from './time.ts'

type Members = NonNullable<NodeStart['snapshot']>['members']

/** The members of the control log, by store. */
export interface MemberStores {
  readonly voters: readonly StoreId[]
  readonly learners: readonly StoreId[]
}

/**
 * A request that a connection holds back, or that was sent twice, takes effect this long after its answer at the
 * latest.
 */
const LATE_MS = 15_000

/**
 * The members of the control log, and the disks that it can lose without being lost for good. No protocol survives the
 * loss of half of the voters, so neither the nemesis nor the operator may bring that about.
 */
export class Membership {
  private readonly clock: Clock
  private readonly truth: ControlTruth
  /** Disks that exist, by store. */
  private readonly disks: ReadonlyMap<string, Disk>
  /** Changes in flight. */
  private changes = 0
  private changedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, truth: ControlTruth, disks: ReadonlyMap<string, Disk>) {
    this.clock = clock
    this.truth = truth
    this.disks = disks
  }

  /** By the latest entry that is committed. */
  get current(): MemberStores {
    return storesOf(this.truth.members)
  }

  beginChange(): void {
    this.changes++
  }

  endChange(): void {
    this.changes--
    this.changedAt = this.clock.now
  }

  /**
   * True when the voters that still have their disks are a majority without this one, whichever change is in flight.
   */
  mayLose(store: StoreId): boolean {
    if (this.changes > 0 || this.clock.now - this.changedAt < LATE_MS) return false
    return this.possible().every(({ voters, learners }) => {
      // A learner may be a voter by the time at which its disk is lost.
      const all = learners.includes(store) ? [...voters, store] : voters
      return 2 * all.filter((voter) => voter !== store && this.isThere(voter)).length > all.length
    })
  }

  /** True when, after this removal, the voters that still have their disks are a majority. One at a time. */
  mayRemove(store: StoreId): boolean {
    if (this.changes > 0) return false
    return this.possible().every(({ voters }) => {
      const left = voters.filter((voter) => voter !== store)
      return 2 * left.filter((voter) => this.isThere(voter)).length > left.length
    })
  }

  /** It has its disk, and on it all that it said in the control log. */
  private isThere(voter: StoreId): boolean {
    const log = this.disks.get(voter)?.log
    return log !== undefined && log.hardState?.recovering !== true && !log.isBehind
  }

  /** Voters whose disks are lost. */
  get lostVoters(): readonly StoreId[] {
    return this.current.voters.filter((store) => !this.disks.has(store))
  }

  /** The members that hold, or may come to hold: those of each member's own log. */
  private possible(): MemberStores[] {
    const { current } = this
    const own = [...current.voters, ...current.learners].flatMap((store) => {
      const members = this.disks.get(store)?.log.members
      return members === undefined ? [] : [storesOf(members)]
    })
    return [current, ...own]
  }
}

function storesOf({ voters, learners }: Members): MemberStores {
  return { voters: voters.map(({ store }) => store), learners: learners.map(({ store }) => store) }
}
