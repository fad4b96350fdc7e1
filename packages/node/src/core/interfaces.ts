import type { Epoch, ExtentId, MapCopy, Millis, Promises, SetChange, StoreId } from '@ashlar/proto'
import type { Context, Link } from './machine.ts'

/** What replication needs from this node's agent. */
export interface ControlView {
  /** This node's copy of the map. */
  readonly map: MapCopy
  /** True while the lease holds by this node's clock (A2.3, amendment 3), for TIMERS.leaseMs at most. */
  leaseHeld(ctx: Context): boolean
  /**
   * The map contains everything that was committed before this moment of this process's clock. -Infinity until the
   * first response to a renewal whose map was applied.
   */
  mapAsOf(): Millis
  /** Requests a change of an in-sync set; `MapListener.onSetChanged` gets the outcome. */
  requestChange(ctx: Context, change: SetChange): void
  /** Releases extents; the outcome is a change of the map. */
  release(
    ctx: Context,
    extents: readonly { extent: ExtentId; epoch: Epoch }[],
    reason: 'shutdown' | 'slow' | 'behind' | 'poisoned',
  ): void
  /**
   * Reports that stores promised higher epochs than the map names; the outcome is a change of the map (amendment 35).
   */
  reportPromises(ctx: Context, extents: Promises['extents']): void
}

/** What the agent calls when the map changes or control responds. */
export interface MapListener {
  /** The map changed: extents whose records changed, and extents of removed volumes. */
  onMapChanged(ctx: Context, changed: readonly ExtentId[], removed: readonly ExtentId[]): void
  /** Control responded to `requestChange`: the map has the newest record, which shows the outcome. */
  onSetChanged(ctx: Context, change: SetChange): void
  /** Control responded to a release; the map shows the new primaries, if there are any. */
  onReleased(ctx: Context, extents: readonly { extent: ExtentId; epoch: Epoch }[]): void
  /**
   * False while this store counts with a replica that was created in this incarnation and never compared: the one
   * before is gone.
   */
  holdsWhatCounts(): boolean
}

/** Links to other stores, as replication and the agent use them. */
export interface PeerLinks {
  /** The dialed link to a store, if it is up. */
  dialed(store: StoreId): Link | undefined
  /** The dialed link to an address, whichever store it leads to. */
  dialedAddress(address: string): Link | undefined
  /** The store at the other end; undefined for clients and closed links. */
  storeOf(link: Link): StoreId | undefined
  /** Start counter of the store at the other end. */
  counterOf(link: Link): number | undefined
  /** Wire version of a link; the newest one for this node itself, and for a closed link. */
  wireOf(link: Link): number
  /** Feature level that the node at the other end supports; 0 for clients and closed links. */
  levelOf(link: Link): number
  /**
   * Moment of the last frame from the store over any link, or of the end of this process's last pause; or -Infinity.
   * Once its last link is down, the store counts as silent `TIMERS.unconnectedMs` later.
   */
  lastHeard(store: StoreId): number
  /** The same, whether its links are up or down. */
  lastFrame(store: StoreId): number
}
