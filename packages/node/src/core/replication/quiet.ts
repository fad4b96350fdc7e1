import { type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { PeerLinks } from '../interfaces.ts'
import type { Primary } from './primary.ts'

/** No frame of this store came for so long that nobody waits for one (A2.7-5). */
export function isSilent(links: PeerLinks, store: StoreId, now: Millis): boolean {
  return now - links.lastHeard(store) > TIMERS.silentMs
}

/**
 * Nothing to wait for and nothing to do: no timer needs to look at this primary until an input reaches its extent. A replica that
 * is out of the in-sync set and away is nothing to wait for: a connection, a frame of its store or a change of the map wakes the
 * extent. One that is silent and still in the set has to be taken out of it (A2.1-3).
 */
export function isQuiet(primary: Primary, now: Millis): boolean {
  const { phase, window, keeper, repairs, confirmations, news, disk, streams, services } = primary
  if (
    phase !== 'active' ||
    window.size > 0 ||
    keeper.busy ||
    repairs.busy ||
    confirmations.busy ||
    news.pending ||
    disk.reading
  )
    return false
  const record = primary.record()
  if (record === undefined || streams.size !== record.assigned.length - 1) return false
  for (const [store, stream] of streams) {
    const silent = isSilent(services.links, store, now)
    const settled = record.inSync.includes(store)
      ? !silent && stream.marked && stream.ackedSeq === primary.extent.lastSeq
      : silent && stream.phase === 'closed'
    if (!settled) return false
  }
  return true
}
