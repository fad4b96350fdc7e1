/** Counters of one store since it was opened. The store writes them, observe/ reads them; no metrics library here. */
export interface StoreMetrics {
  /** Batches synced, blocks and bytes of block data in them. */
  batches: number
  blocks: number
  bytes: number
  checkpoints: number
  /** Leaves of versions that had to be read from disk. */
  leafLoads: number
  /** Leaves whose versions on disk did not match their stored digest. */
  leafMismatches: number
  blocksRead: number
  damagedBlocksFound: number
  damagedBlocksRepaired: number
  /** Called after each synced batch: seconds from handing it to the driver until it was on stable storage. */
  onSync: ((seconds: number) => void) | undefined
}

export function newStoreMetrics(): StoreMetrics {
  return {
    batches: 0,
    blocks: 0,
    bytes: 0,
    checkpoints: 0,
    leafLoads: 0,
    leafMismatches: 0,
    blocksRead: 0,
    damagedBlocksFound: 0,
    damagedBlocksRepaired: 0,
    onSync: undefined,
  }
}
