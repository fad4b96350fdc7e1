import type { Epoch, ExtentId, MapCopy, Millis, Promises, SetChange, StoreId } from '@ashlar/proto'
import type { Context, Link } from './machine.ts'

/** What replication needs from control's agent on this node. */
export interface ControlView {
  /** The map as this node has learned it. */
  readonly map: MapCopy
  /** True while this node's lease holds by its own count (A2.3, amendment 3). Never says true for longer than TIMERS.leaseMs. */
  leaseHeld(ctx: Context): boolean
  /**
   * The map here holds everything that was committed before this moment, by this process's clock. -Infinity until a renewal
   * was answered and its map applied.
   */
  mapAsOf(): Millis
  /** Asks control for a change of an in-sync set; the outcome comes back through `SetListener.onSetChanged`. */
  requestChange(ctx: Context, change: SetChange): void
  /** Gives extents up; the outcome is a change of the map. */
  release(
    ctx: Context,
    extents: readonly { extent: ExtentId; epoch: Epoch }[],
    reason: 'shutdown' | 'slow' | 'behind' | 'poisoned',
  ): void
  /** Stores promised higher epochs than the map names; the outcome is a change of the map (amendment 35). */
  reportPromises(ctx: Context, extents: Promises['extents']): void
}

/** What control's agent calls when it learns something. */
export interface MapListener {
  /** The map changed; the extents whose records changed, and those of removed volumes. */
  onMapChanged(ctx: Context, changed: readonly ExtentId[], removed: readonly ExtentId[]): void
  /** Outcome of `requestChange`; the map already holds the newest record. `committed`: exactly this change took effect. */
  onSetChanged(ctx: Context, change: SetChange, committed: boolean): void
  /** Control has answered for extents that were given up; the map shows whom it named, if anybody. */
  onReleased(ctx: Context, extents: readonly { extent: ExtentId; epoch: Epoch }[]): void
  /** False while this store counts with a replica that was created in this incarnation and never compared: the one before is gone. */
  holdsWhatCounts(): boolean
}

/** Links to other stores, as replication and the agent use them. */
export interface PeerLinks {
  /** The dialed link to a store, or undefined while there is none. */
  dialed(store: StoreId): Link | undefined
  /** The dialed link to an address, whatever store answers there. */
  dialedAddress(address: string): Link | undefined
  /** Who is at the other end; undefined for clients and closed links. */
  storeOf(link: Link): StoreId | undefined
  /** Start counter of the store at the other end. */
  counterOf(link: Link): number | undefined
  /** Wire version of a link; the newest one for this node itself, and for a closed link. */
  wireOf(link: Link): number
  /** Feature level that the node at the other end knows; 0 for clients and closed links. */
  levelOf(link: Link): number
  /**
   * Moment of the last frame from that store over any link, or since when this process runs after a standstill; or -Infinity.
   * Earlier where its last link is down: silence begins `TIMERS.unconnectedMs` after that.
   */
  lastHeard(store: StoreId): number
  /** The same, and never earlier than it was: whether a link is up or down changes nothing. */
  lastFrame(store: StoreId): number
}
