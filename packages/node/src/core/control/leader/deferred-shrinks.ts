import type { ExtentId, ExtentRecord, Millis, SetChange, StoreId } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { Link } from '../../machine.ts'
import type { MapState } from '../map/index.ts'

/** A shrink that is deferred while the stores that it would evict may return. */
export interface DeferredShrink {
  readonly link: Link
  readonly request: number
  readonly store: StoreId
  readonly counter: number
  readonly change: SetChange
}

/**
 * A2.8-11: a new primary of an extent that was not served evicts in-sync stores that have not registered only after
 * `TIMERS.unregisteredGraceMs`. After a power loss the first store would otherwise evict those that are still starting.
 */
export class DeferredShrinks {
  private readonly graceUntil = new Map<ExtentId, Millis>()
  private readonly deferred = new Map<ExtentId, DeferredShrink>()

  /** An extent that was not served got a primary: members that are not `here` have a grace period. */
  takenOver(record: ExtentRecord, now: Millis, here: (store: StoreId) => boolean): void {
    if (record.inSync.every(here)) this.graceUntil.delete(record.id)
    else this.graceUntil.set(record.id, now + TIMERS.unregisteredGraceMs)
  }

  /** Defers the change and returns true if it would evict a store within its grace period. */
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

  /** Changes to propose, since the grace period is over, or to refuse as overtaken, since their stores came. */
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

  clear(): void {
    this.graceUntil.clear()
    this.deferred.clear()
  }
}

function evicted(record: ExtentRecord, change: SetChange): StoreId[] {
  return record.inSync.filter((store) => !change.inSync.includes(store))
}
