import type { ExtentId, Millis, Release, StoreId } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { MapState } from '../map/index.ts'

type AvoidedExtent = Release['extents'][number] & { readonly avoid: readonly StoreId[] }

interface Tries {
  readonly stores: ReadonlySet<StoreId>
  readonly lastAt: Millis
}

/**
 * Amendment 18: control tries each member once for an extent that slow primaries release, then leaves the last one.
 * Without this memory an extent with slow members only would move between them, with a new epoch each time.
 */
export class SlowReleases {
  private readonly tries = new Map<ExtentId, Tries>()

  /** Notes the release by `store`. Returns all members that released the extent as slow a short while ago. */
  add(extent: ExtentId, store: StoreId, now: Millis): StoreId[] {
    const before = this.tries.get(extent)
    const recent = before !== undefined && now - before.lastAt < TIMERS.rejoinMaxMs
    const stores = new Set(recent ? [...before.stores, store] : [store])
    this.tries.set(extent, { stores, lastAt: now })
    return [...stores]
  }

  /** The extents, each with the members that released it as slow, this one included: they are not chosen again. */
  avoid(extents: Release['extents'], store: StoreId, now: Millis): AvoidedExtent[] {
    return extents.map((released) => ({ ...released, avoid: this.add(released.extent, store, now) }))
  }

  /** The members changed: all may be tried again. */
  forget(extent: ExtentId): void {
    this.tries.delete(extent)
  }

  clear(): void {
    this.tries.clear()
  }
}

/** True when some extent has no candidate but stores that missed renewals: they may be dead. */
export function waitsForQuiet(
  state: MapState,
  { store, extents }: Release,
  live: readonly StoreId[],
  heard: readonly StoreId[],
): boolean {
  return extents.some(({ extent }) => {
    const others = (state.extents.get(extent)?.inSync ?? []).filter((member) => member !== store)
    return others.some((member) => live.includes(member)) && !others.some((member) => heard.includes(member))
  })
}
