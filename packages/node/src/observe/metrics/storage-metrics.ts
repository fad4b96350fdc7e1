import { STORE_SPACES } from '@ashlar/proto'
import type { StoreMetrics } from '../../storage/metrics.ts'
import type { SpaceView } from '../../storage/space/free-space.ts'
import { LATENCY_BUCKETS_SECONDS, mirror, type Register } from '../register.ts'

/** The store: batches, their syncs, and statistics of the driver. */
export type StorageMetrics = ReturnType<typeof storageMetrics>

/** Source of the figures, read at each exposition. */
export interface StorageSource {
  readonly metrics: StoreMetrics
  space(): SpaceView
  /** Statistics of the driver by name, such as LevelDB's files and bytes per level. */
  statistics(): Readonly<Record<string, number>>
}

const COUNTERS = {
  batches: ['ashlar_storage_batches_total', 'Batches on stable storage: one sync each.'],
  blocks: ['ashlar_storage_blocks_total', 'Blocks written in batches.'],
  bytes: ['ashlar_storage_bytes_total', 'Bytes of block data written in batches.'],
  checkpoints: ['ashlar_storage_checkpoints_total', 'Checkpoints of heads, digests and windows.'],
  leafLoads: ['ashlar_storage_leaf_loads_total', 'Leaves of versions read from disk.'],
  leafMismatches: [
    'ashlar_storage_leaf_mismatches_total',
    'Leaves whose versions on disk did not match their stored digest.',
  ],
  blocksRead: ['ashlar_storage_blocks_read_total', 'Blocks read and verified.'],
  damagedBlocksFound: ['ashlar_storage_damaged_blocks_total', 'Blocks read whose bytes did not match their checksum.'],
  damagedBlocksRepaired: [
    'ashlar_storage_repaired_blocks_total',
    'Damaged blocks that were overwritten with sound bytes.',
  ],
} as const satisfies Partial<Record<keyof StoreMetrics, readonly [string, string]>>

export function storageMetrics(register: Register) {
  const syncSeconds = register.histogram(
    'ashlar_storage_sync_seconds',
    'Time from handing a batch to the driver until it was on stable storage.',
    LATENCY_BUCKETS_SECONDS,
  )
  const freeBytes = register.gauge(
    'ashlar_storage_free_bytes',
    'Free bytes of the file system of the store, minus what the ballast lacks.',
  )
  const reserveBytes = register.gauge(
    'ashlar_storage_reserve_bytes',
    'Free bytes below which the store refuses something.',
    ['reserve'],
  )
  const space = register.gauge(
    'ashlar_storage_space',
    '1 for the space state of the store (free, filling, tight or full), 0 for the others.',
    ['state'],
  )
  const driver = register.gauge('ashlar_storage_driver', 'Statistics of the storage driver.', ['statistic'])
  const failures = register.counter('ashlar_storage_failures_total', 'Write errors that poisoned the store.')
  return {
    failures,
    /** Exposes a store that was opened, from now on. One store a process: call it once. */
    watch(source: StorageSource): void {
      source.metrics.onSync = (seconds) => syncSeconds.observe({}, seconds)
      for (const [key, [name, help]] of Object.entries(COUNTERS)) {
        mirror(register, name, help, () => source.metrics[key as keyof typeof COUNTERS])
      }
      register.onCollect(() => {
        const view = source.space()
        freeBytes.set({}, view.freeBytes)
        for (const [reserve, bytes] of Object.entries(view.reserves)) reserveBytes.set({ reserve }, bytes)
        for (const state of STORE_SPACES) space.set({ state }, state === view.space ? 1 : 0)
        for (const [statistic, value] of Object.entries(source.statistics())) driver.set({ statistic }, value)
      })
    },
  }
}
