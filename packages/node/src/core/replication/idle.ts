import { type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { PeerLinks } from '../interfaces.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'

/** No frame of this store came for so long that it is taken to be away (A2.7-5). */
export function isSilent(links: PeerLinks, store: StoreId, now: Millis): boolean {
  return now - links.lastHeard(store) > TIMERS.silentMs
}

interface Parts {
  readonly state: PrimaryState
  readonly window: { readonly size: number }
  readonly disk: { readonly reading: boolean }
  readonly notice: { readonly pending: boolean }
  readonly keeper: { readonly busy: boolean }
  readonly repairs: { readonly busy: boolean }
  readonly confirmations: { readonly busy: boolean }
  readonly streams: ReadonlyMap<StoreId, OutStream>
}

/**
 * Nothing is pending at this primary: ticks skip it until an input reaches its extent. A replica outside the in-sync set whose
 * store is away is not pending: a connection, a frame of its store or a change of the map wakes the extent. A silent one that is
 * still in the set has to be taken out of it (A2.1-3).
 */
export function isIdle(primary: Parts, now: Millis): boolean {
  const { state, window, keeper, repairs, confirmations, notice, disk, streams } = primary
  if (
    state.phase !== 'active' ||
    window.size > 0 ||
    keeper.busy ||
    repairs.busy ||
    confirmations.busy ||
    notice.pending ||
    disk.reading
  )
    return false
  const record = state.record()
  if (record === undefined || streams.size !== record.assigned.length - 1) return false
  for (const [store, stream] of streams) {
    const silent = isSilent(state.services.links, store, now)
    const settled = record.inSync.includes(store)
      ? !silent && stream.marked && stream.ackedSeq === state.extent.lastSeq
      : silent && stream.phase === 'closed'
    if (!settled) return false
  }
  return true
}
