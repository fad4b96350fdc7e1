import { LIMITS } from '@ashlar/proto'

/** How a store works, apart from the engine under it. */
export interface StoreTuning {
  /**
   * Full leaves of versions kept in memory, about 6 KiB each; eight of few versions count as one. Less: writes to many places
   * wait for a scan of 256 versions.
   */
  readonly leafCapacity: number
  /** Journal keys between two checkpoints. More: longer opening; less: heads and digests are written more often. */
  readonly checkpointBatches: number
  /** A store that wrote nothing for this long checkpoints, so that opening it again replays nothing. Milliseconds. */
  readonly checkpointIdleMs: number
  /** Bytes that one batch gathers at most. */
  readonly batchBytes: number
  /**
   * Damaged blocks repaired within an hour beyond which a store is suspect: it leaves the in-sync sets and is compared. Less:
   * single flipped bits cost a comparison; more: a disk that rots goes on being believed.
   */
  readonly maxRepairsPerHour: number
}

export const STORE_TUNING: StoreTuning = {
  /** 50 to 60 MiB of memory: the versions of 8 GiB in blocks of 4 KiB, or of 65,536 places that lie far apart. */
  leafCapacity: 8192,
  checkpointBatches: LIMITS.checkpointBatches,
  checkpointIdleMs: 2000,
  batchBytes: LIMITS.commitBatchBytes,
  maxRepairsPerHour: 16,
}
