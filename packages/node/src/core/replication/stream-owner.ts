import type { Epoch, Seq, StoreId } from '@ashlar/proto'
import type { Context, LoadedBlock } from '../machine.ts'
import type { OwnDisk } from './own-disk.ts'
import type { RollForward } from './roll-forward.ts'

/** What a stream tells the primary that owns it. */
export interface StreamOwner {
  readonly epoch: Epoch
  /** What a replica holds of epochs before this one is another history: its commits say nothing (A2.10). */
  readonly historyEpoch: Epoch
  /** The disk of the store that copies: its reads have an age. */
  readonly disk: OwnDisk
  /** An acknowledgement or the MARK moved: count again. */
  onStreamProgress(ctx: Context): void
  /** Stores whose acknowledgement a write waits for. */
  ackSet(): ReadonlySet<StoreId>
  /** The store may be the next primary: it is in the ackSet, or eligible. */
  counts(store: StoreId): boolean
  /** False while writes wait for more replicas to be in sync. */
  enoughInSync(): boolean
  /** The replica promised a higher epoch: this primary is over. */
  onFenced(ctx: Context, promised: Epoch): void
  /** The replica knows of commits that this store does not have (A2.8-4). */
  onBehind(ctx: Context, store: StoreId, commitSeq: Seq): void
  /** What comes before a replica that has answered is compared (amendment 26). */
  readonly forward: Pick<RollForward, 'onOpened'>
  /** A block to copy is damaged here; the owner repairs it and calls `onRepaired` or `onUnrepairable`. */
  onDamaged(ctx: Context, block: LoadedBlock): void
}
