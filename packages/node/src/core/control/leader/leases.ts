import type { Bytes, Millis, Renew, StoreId, StoreSpace } from '@ashlar/proto'
import { leaseExpiryMs, TIMERS } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { LeaseView } from './leader-view.ts'

/** Control's side of one store's lease. Times are this process's own. */
export interface Lease {
  readonly store: StoreId
  readonly counter: number
  /** When the last renewal was received, or when this leader granted the lease unheard. */
  readonly receivedAt: Millis
  /** The store was heard by this leader: it may be named primary. */
  readonly confirmed: boolean
  readonly freeBytes: Bytes | undefined
  /** Room of its disk, as it said last (amendment 17). */
  readonly space: StoreSpace
  /** Map revision that the store said it has applied. */
  readonly revision: number
  /** Feature level that it said it knows; undefined while this leader has not heard it (A2.21-2). */
  readonly level: number | undefined
}

/** A store from which two renewals did not come may have died: as primary it would cost a whole lease more (A2.7-7). */
const QUIET_MS = 2 * TIMERS.renewMs + TIMERS.tickMs

type Told = Pick<Renew, 'freeBytes' | 'space' | 'level'>

/**
 * Leases as control counts them: from receipt, and a drift margin longer than the holder counts (A2.3-1). They live in the
 * leader's memory; a new leader grants every store a whole lease before it calls any of them down (CTL-7).
 */
export class Leases {
  private readonly leases = new Map<StoreId, Lease>()

  /** This process became leader: every store that is not down has a lease, which an earlier leader must have granted. */
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

  /** A registration was committed: what the store hears from now on counts from here. */
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

  /** A renewal was received. True: this leader had not heard the store before, or of late, or not of room on its disk. */
  renewed(store: StoreId, counter: number, now: Millis, revision: number, told: Told): boolean {
    const before = this.leases.get(store)
    const { freeBytes, space = 'free', level = 0 } = told
    this.leases.set(store, { store, counter, receivedAt: now, confirmed: true, freeBytes, space, revision, level })
    return before?.confirmed !== true || isQuiet(before, now) || (space === 'free' && before.space !== 'free')
  }

  /** Those of the stores on whose disks there is no room for new extents (amendment 17). */
  filling(stores: readonly StoreId[]): StoreId[] {
    return stores.filter((store) => (this.leases.get(store)?.space ?? 'free') !== 'free')
  }

  /** The command with those of its candidates named that have no room for new replicas. */
  nameFilling(command: Command): Command {
    if (!('live' in command)) return command
    const filling = this.filling(command.live)
    return filling.length === 0 ? command : { ...command, filling }
  }

  end(store: StoreId): void {
    this.leases.delete(store)
  }

  /**
   * This process stood still for `pauseMs` until now and heard nobody: that must not count against the stores. Who was
   * heard since gets no more than a whole lease, or its death would go unnoticed for as long as the pause was.
   */
  extendAll(pauseMs: Millis, now: Millis): void {
    for (const lease of this.leases.values())
      this.leases.set(lease.store, { ...lease, receivedAt: Math.min(now, lease.receivedAt + pauseMs) })
  }

  get(store: StoreId): Lease | undefined {
    return this.leases.get(store)
  }

  /** For people. */
  views(now: Millis): LeaseView[] {
    return [...this.leases.values()].map(({ receivedAt, ...lease }) => ({ ...lease, ageMs: now - receivedAt }))
  }

  /** Leases that ran out by control's count. */
  over(now: Millis): Lease[] {
    return [...this.leases.values()].filter((lease) => isOver(lease, now))
  }

  /** Of these stores those from which renewals come: one that died a moment ago still holds its lease. */
  heard(stores: readonly StoreId[], now: Millis): StoreId[] {
    const isHeard = (lease: Lease | undefined) => lease !== undefined && !isQuiet(lease, now)
    return stores.filter((store) => isHeard(this.leases.get(store)))
  }

  /** Stores that hold a lease and were heard by this leader, ascending. */
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
