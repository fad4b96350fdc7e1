import type { Epoch, Opened, Seq, StoreId } from '@ashlar/proto'
import type { Context, Link, LoadedBlock } from '../machine.ts'
import type { OwnDisk } from './own-disk.ts'

/** Which replicas writes wait for. */
export interface AckRule {
  /** Stores whose acknowledgement a write requires. */
  ackSet(): ReadonlySet<StoreId>
  /** The store may be the next primary: it is in the ackSet, or eligible. */
  counts(store: StoreId): boolean
  /** False while writes wait for more replicas to be in sync. */
  enoughInSync(): boolean
}

/** What a stream needs of the primary that owns it, and reports to it. */
export interface StreamOwner {
  /** Reads for a copy count when the disk is checked for being slow. */
  readonly disk: OwnDisk
  /** An acknowledgement or the MARK moved. */
  onStreamProgress(ctx: Context): void
  /** The replica promised a higher epoch: this primary is over. */
  onFenced(ctx: Context, promised: Epoch): void
  /** The replica knows of commits that this store does not have (A2.8-4). */
  onBehind(ctx: Context, store: StoreId, commitSeq: Seq): void
  /** A replica has opened the stream. True when comparing has to wait: it is ahead, or another one is (amendment 26). */
  rollsForward(
    ctx: Context,
    stream: { readonly store: StoreId; readonly gen: number },
    link: Link,
    opened: Opened,
  ): boolean
  /** A block to copy is damaged here; the owner repairs it and calls `onRepaired` or `onUnrepairable`. */
  onDamaged(ctx: Context, block: LoadedBlock): void
}
