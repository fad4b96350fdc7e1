import type { ExtentId, ExtentRecord, Millis, SetChange, StoreId } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { Link } from '../../machine.ts'
import type { MapState } from '../map/index.ts'

/** A shrink that waits for the stores which it would evict. */
export interface DeferredShrink {
  readonly link: Link
  readonly request: number
  readonly store: StoreId
  readonly counter: number
  readonly change: SetChange
}

/**
 * Amendment 11: a takeover without a live primary before it gives in-sync stores that have not registered 10 s before it
 * evicts them. After a loss of power the first store back would otherwise throw out the ones that are still starting.
 */
export class DeferredShrinks {
  private readonly graceUntil = new Map<ExtentId, Millis>()
  private readonly deferred = new Map<ExtentId, DeferredShrink>()

  /** An extent got a primary while nobody served it: members that are not `here` have time to come. */
  takenOver(record: ExtentRecord, now: Millis, here: (store: StoreId) => boolean): void {
    if (record.inSync.every(here)) this.graceUntil.delete(record.id)
    else this.graceUntil.set(record.id, now + TIMERS.unregisteredGraceMs)
  }

  /** True, and remembered, when this change would evict a store that still has time to come. */
  defer(state: MapState, shrink: DeferredShrink, now: Millis, here: (store: StoreId) => boolean): boolean {
    const { change } = shrink
    const record = state.extents.get(change.extent)
    const until = this.graceUntil.get(change.extent)
    if (record === undefined || until === undefined || record.revision !== change.revision) return false
    if (now >= until) {
      this.graceUntil.delete(change.extent)
      return false
    }
    if (evicted(record, change).every(here)) return false
    this.deferred.set(change.extent, shrink)
    return true
  }

  /** Held changes whose time has come, or whose stores have: they are proposed, or refused as overtaken. */
  due(
    state: MapState,
    now: Millis,
    here: (store: StoreId) => boolean,
  ): { shrink: DeferredShrink; overtaken: boolean }[] {
    const due: { shrink: DeferredShrink; overtaken: boolean }[] = []
    for (const [extent, shrink] of this.deferred) {
      const record = state.extents.get(extent)
      const timeIsUp = now >= (this.graceUntil.get(extent) ?? now)
      const overtaken =
        record === undefined || record.revision !== shrink.change.revision || evicted(record, shrink.change).every(here)
      if (!timeIsUp && !overtaken) continue
      this.deferred.delete(extent)
      due.push({ shrink, overtaken: overtaken && !timeIsUp })
    }
    return due
  }

  /** Extents for which a shrink is held, for people. */
  all(): readonly DeferredShrink[] {
    return [...this.deferred.values()]
  }

  clear(): void {
    this.graceUntil.clear()
    this.deferred.clear()
  }
}

function evicted(record: ExtentRecord, change: SetChange): StoreId[] {
  return record.inSync.filter((store) => !change.inSync.includes(store))
}
