import { isAtLeast, type SpaceReport, STORE_SPACES, type StoreSpace } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { Primary } from './primary.ts'

/** The room of this store's disk, and what its primaries know of it (amendment 17). */
export class OwnSpace {
  /** As last told; nothing is refused before that. */
  current: SpaceReport = { space: 'free', freeBytes: Number.MAX_SAFE_INTEGER }
  private told: StoreSpace = this.current.space

  /**
   * True once for each change: primaries are to hear of it at once, since where all of them refuse writes for want of
   * room nothing is acknowledged that could tell them that there is some.
   */
  takeChange(ctx: Context): boolean {
    const { space, freeBytes } = this.current
    if (space === this.told) return false
    ctx.event(isAtLeast(space, 'tight') ? 'warn' : 'info', 'store-space', { space, before: this.told, freeBytes })
    this.told = space
    return true
  }
}

/** The least room of any store that has to acknowledge a write, the primary's own included. */
export function leastSpace(primary: Primary): StoreSpace {
  let least = STORE_SPACES.indexOf(primary.services.room().space)
  for (const store of primary.ackSet())
    least = Math.max(least, STORE_SPACES.indexOf(primary.streams.get(store)?.space ?? 'free'))
  return STORE_SPACES[least] ?? 'free'
}
