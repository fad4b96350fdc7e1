import type { Bytes, Millis, Renew, StoreId, StoreSpace } from '@ashlar/proto'
import { leaseExpiryMs, TIMERS } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { LeaseView } from './leader-view.ts'

/** A store's lease as the leader counts it, by this process's clock. */
export interface Lease {
  readonly store: StoreId
  readonly counter: number
  /** Moment of the last renewal, or at which this leader granted the lease without one. */
  readonly receivedAt: Millis
  /** This leader received a renewal or a registration: the store may become primary. */
  readonly confirmed: boolean
  readonly freeBytes: Bytes | undefined
  /** Space on its disk by its last report (amendment 17). */
  readonly space: StoreSpace
  /** Map revision that the store reported as applied. */
  readonly revision: number
  /** Feature level that the store reported; undefined before its first renewal with this leader (A2.21-2). */
  readonly level: number | undefined
}

/** A store that missed two renewals may have died: as primary it would cost another whole lease (A2.7-7). */
const QUIET_MS = 2 * TIMERS.renewMs + TIMERS.tickMs

type Reported = Pick<Renew, 'freeBytes' | 'space' | 'level'>

/**
 * Leases as the leader counts them: from the receipt of a renewal, and longer than their holders by a drift margin
 * (A2.3-1). They are in memory only; a new leader first grants every store a whole lease (CTL-7).
 */
export class Leases {
  private readonly leases = new Map<StoreId, Lease>()

  /** A new leader: every store that is not down may hold a lease of an earlier one. */
  grantAll(state: MapState, now: Millis): void {
    this.leases.clear()
    for (const node of state.nodes.values()) {
      if (node.state === 'down') continue
      const { counter } = node.incarnation
      this.leases.set(node.store, {
        store: node.store,
        counter,
        receivedAt: now,
        confirmed: false,
        freeBytes: undefined,
        space: 'free',
        revision: 0,
        level: undefined,
      })
    }
  }

  /** A registration was committed: the lease begins now. */
  registered(store: StoreId, counter: number, now: Millis): void {
    const before = this.leases.get(store)
    const same = before?.counter === counter
    this.leases.set(store, {
      store,
      counter,
      receivedAt: now,
      confirmed: true,
      freeBytes: before?.freeBytes,
      space: before?.space ?? 'free',
      revision: same ? before.revision : 0,
      level: same ? before.level : undefined,
    })
  }

  /** A renewal was received. True: the store is new to this leader, was silent, or has free space again. */
  renewed(store: StoreId, counter: number, now: Millis, revision: number, report: Reported): boolean {
    const before = this.leases.get(store)
    const { freeBytes, space = 'free', level = 0 } = report
    this.leases.set(store, { store, counter, receivedAt: now, confirmed: true, freeBytes, space, revision, level })
    return before?.confirmed !== true || isQuiet(before, now) || (space === 'free' && before.space !== 'free')
  }

  /** Stores without space for new extents (amendment 17). */
  filling(stores: readonly StoreId[]): StoreId[] {
    return stores.filter((store) => (this.leases.get(store)?.space ?? 'free') !== 'free')
  }

  /** Adds to the command which of its candidates have no space for new replicas. */
  nameFilling(command: Command): Command {
    if (!('live' in command)) return command
    const filling = this.filling(command.live)
    return filling.length === 0 ? command : { ...command, filling }
  }

  end(store: StoreId): void {
    this.leases.delete(store)
  }

  /**
   * Extends leases after a pause of this process, in which it received nothing. A store that renewed since then gets no
   * more than a whole lease, or its failure would be noticed later by the length of the pause.
   */
  extendAll(pauseMs: Millis, now: Millis): void {
    for (const lease of this.leases.values())
      this.leases.set(lease.store, { ...lease, receivedAt: Math.min(now, lease.receivedAt + pauseMs) })
  }

  get(store: StoreId): Lease | undefined {
    return this.leases.get(store)
  }

  views(now: Millis): LeaseView[] {
    return [...this.leases.values()].map(({ receivedAt, ...lease }) => ({ ...lease, ageMs: now - receivedAt }))
  }

  /** Leases that ran out. */
  over(now: Millis): Lease[] {
    return [...this.leases.values()].filter((lease) => isOver(lease, now))
  }

  /** Those of the stores that renewed of late: one that just died still holds its lease. */
  heard(stores: readonly StoreId[], now: Millis): StoreId[] {
    const isHeard = (lease: Lease | undefined) => lease !== undefined && !isQuiet(lease, now)
    return stores.filter((store) => isHeard(this.leases.get(store)))
  }

  /** Stores that hold a lease confirmed by this leader, ascending. */
  live(now: Millis): StoreId[] {
    return [...this.leases.values()]
      .filter((lease) => lease.confirmed && !isOver(lease, now))
      .map((lease) => lease.store)
      .sort()
  }
}

function isQuiet(lease: Lease, now: Millis): boolean {
  return now - lease.receivedAt > QUIET_MS
}

function isOver(lease: Lease, now: Millis): boolean {
  return now - lease.receivedAt >= leaseExpiryMs()
}
