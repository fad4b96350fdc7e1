import { isAtLeast, type SpaceReport, STORE_SPACES, type StoreId, type StoreSpace } from '@ashlar/proto'
import type { Context } from '../machine.ts'

/** The space of this store's disk, and what its primaries were notified of (amendment 17). */
export class OwnSpace {
  /** As last reported; nothing is refused before the first report. */
  current: SpaceReport = { space: 'free', freeBytes: Number.MAX_SAFE_INTEGER }
  private reported: StoreSpace = this.current.space

  /**
   * True once for each change. Acknowledgements carry the space, and while all primaries refuse writes there are none: so
   * replicas acknowledge again when this says true.
   */
  takeChange(ctx: Context): boolean {
    const { space, freeBytes } = this.current
    if (space === this.reported) return false
    ctx.event(isAtLeast(space, 'tight') ? 'warn' : 'info', 'store-space', { space, before: this.reported, freeBytes })
    this.reported = space
    return true
  }
}

/** The least space of the own store and of every other that has to acknowledge a write. */
export function leastSpace(
  own: StoreSpace,
  ackSet: Iterable<StoreId>,
  streams: ReadonlyMap<StoreId, { readonly space: StoreSpace }>,
): StoreSpace {
  let least = STORE_SPACES.indexOf(own)
  for (const store of ackSet) least = Math.max(least, STORE_SPACES.indexOf(streams.get(store)?.space ?? 'free'))
  return STORE_SPACES[least] ?? 'free'
}
