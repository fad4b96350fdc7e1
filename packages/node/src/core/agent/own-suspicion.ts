import { FEATURES, type MapCopy, type Renew, type StoreId } from '@ashlar/proto'
import type { MapListener } from '../interfaces.ts'

/** Whether the suspicion is over with which this store registered (A2.17-4). */
export class OwnSuspicion {
  private cleared = false

  /**
   * True: the store was opened as suspect, and all its suspect replicas were compared. False: it became suspect again.
   */
  setCleared(cleared: boolean): void {
    this.cleared = cleared
  }

  /**
   * Part of each renewal until control trusts this store. A replica whose creation was among the dropped records is on
   * no list of the store and was created again, empty: while it counts it has to be compared first.
   */
  report(
    self: StoreId,
    map: MapCopy,
    replicas: Pick<MapListener, 'holdsWhatCounts'> | undefined,
  ): Pick<Renew, 'cleared'> {
    if (!this.cleared || map.featureLevel < FEATURES.clearedStores) return {}
    const suspect = map.nodes.get(self)?.trust === 'suspect'
    return suspect && replicas?.holdsWhatCounts() === true ? { cleared: true } : {}
  }
}
