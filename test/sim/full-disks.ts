import { LIMITS } from '@ashlar/proto'
import { BLOCK_BYTES, type SimulationOptions, SPACE_FAULTS } from './options.ts'
import { Chance } from './world/chance.ts'
import type { SpaceOptions } from './world/disk-space.ts'

/**
 * What a second of writes comes to at most, until a store sees that something else took its space, with what is in
 * flight.
 */
const SECOND_BLOCKS = 224
/** Blocks that are copied ahead of what was acknowledged. */
const COPY_BLOCKS = LIMITS.pushWindowBytes / BLOCK_BYTES
const BAND_BLOCKS = 96

/**
 * Disks that have so many blocks for data before their store refuses anything, where clients work on `hotBlocks`.
 * Reserves are as small as lets every promise of amendment 17 be kept. Half of the last one is for what comes to a disk
 * when that mark is passed already; the other half is what something else may take.
 */
export function disksFor(hotBlocks: number, blocks: readonly number[]): SpaceOptions {
  const last = 2 * (SECOND_BLOCKS + Math.min(COPY_BLOCKS, hotBlocks)) * BLOCK_BYTES
  const writes = last + BAND_BLOCKS * BLOCK_BYTES
  const placement = writes + BAND_BLOCKS * BLOCK_BYTES
  return { sizesBytes: blocks.map((count) => placement + count * BLOCK_BYTES), reserves: { placement, writes, last } }
}

/**
 * The same seed on disks that run full: some are smaller than what is to be stored, and something else takes room and
 * gives it back. Draws for itself, so that no seed becomes another one without full disks.
 */
export function withFullDisks(options: SimulationOptions): SimulationOptions {
  const own = new Chance(options.seed ^ 0xf0115)
  const hotBlocks = own.pick([4, 16, 64, 192, 768])
  const hotBytes = hotBlocks * BLOCK_BYTES
  const isAcross = options.sizeBytes > options.extentSizeBytes
  const hotOffset = isAcross ? options.extentSizeBytes - hotBytes / 2 : options.hotOffset
  const disks = Array.from(
    { length: options.nodes },
    () => Math.ceil(hotBlocks * own.between(0.2, 2)) + own.integer(8, 200),
  )
  const take = SPACE_FAULTS[0]
  const share = Math.max(1, Math.floor(options.faults.length / 4))
  return {
    ...options,
    hotOffset,
    hotBytes,
    sizeBytes: Math.max(options.sizeBytes, hotOffset + hotBytes),
    workload: {
      ...options.workload,
      // What a second of writes comes to is bounded, because the last reserve has to hold it.
      depth: Math.min(2, options.workload.depth),
      thinkMs: own.pick([60, 150]),
      discardShare: own.between(0.05, 0.4),
    },
    faults: [...options.faults, ...SPACE_FAULTS, ...new Array<typeof take>(2 * share).fill(take)],
    space: disksFor(hotBlocks, disks),
  }
}
