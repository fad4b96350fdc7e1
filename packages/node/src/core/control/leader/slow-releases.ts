import type { ExtentId, Millis, Release, StoreId } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { MapState } from '../map/index.ts'

type AvoidedExtent = Release['extents'][number] & { readonly avoid: readonly StoreId[] }

interface Tries {
  readonly stores: ReadonlySet<StoreId>
  readonly lastAt: Millis
}

/**
 * Amendment 18: a primary that is too slow gives its extent up, and control tries each member once, then lets the last one
 * wait. Without this memory an extent whose members are all slow would go round and round, a new epoch each time.
 */
export class SlowReleases {
  private readonly tries = new Map<ExtentId, Tries>()

  /** `store` gives the extent up as slow. Gives everybody who did so a short while ago, this store included. */
  add(extent: ExtentId, store: StoreId, now: Millis): StoreId[] {
    const before = this.tries.get(extent)
    const recent = before !== undefined && now - before.lastAt < TIMERS.rejoinMaxMs
    const stores = new Set(recent ? [...before.stores, store] : [store])
    this.tries.set(extent, { stores, lastAt: now })
    return [...stores]
  }

  /** The extents, each with those that are not to be named for it again: the members that gave it up, this one included. */
  avoid(extents: Release['extents'], store: StoreId, now: Millis): AvoidedExtent[] {
    return extents.map((released) => ({ ...released, avoid: this.add(released.extent, store, now) }))
  }

  /** The members changed: everybody may be tried again. */
  forget(extent: ExtentId): void {
    this.tries.delete(extent)
  }

  clear(): void {
    this.tries.clear()
  }
}

/** Some extent has no other member that could be named but one from which no renewals come: it may be dead, and nobody knows. */
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
