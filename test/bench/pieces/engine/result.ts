import type { Bytes } from '@ashlar/proto'
import { medianOfEach } from '../../../kit/statistics.ts'
import { BLOCK_BYTES, type ProcessFigures } from '../piece.ts'
import { BATCH_BLOCKS, type EngineVariant } from './variants.ts'

/** What one turn of a variant showed. */
export interface EngineTurn {
  readonly writes: ProcessFigures
  /** Right after the writes, so that what they left to merge is merged meanwhile. */
  readonly reads: ProcessFigures
  /** RssAnon after both. */
  readonly anonymousBytes: Bytes
}

/** Medians of the turns of a variant. A block is 4 KiB, whatever a value is. */
export interface EngineResult {
  readonly name: string
  readonly writesPerSecond: number
  readonly writeCpuUs: number
  /** Mean time of one synced batch. */
  readonly batchUs: number
  /** Bytes written to files for each byte of blocks, while blocks were written. */
  readonly amplification: number
  readonly readsPerSecond: number
  readonly readCpuUs: number
  readonly anonymousBytes: Bytes
}

/** What several measurements of one process are together. */
export function sumOf(parts: readonly ProcessFigures[]): ProcessFigures {
  const sum = (key: keyof ProcessFigures) => parts.reduce((total, figures) => total + figures[key], 0)
  return {
    operations: sum('operations'),
    seconds: sum('seconds'),
    cpuSeconds: sum('cpuSeconds'),
    writtenBytes: sum('writtenBytes'),
  }
}

export function engineResult({ name, change }: EngineVariant, turns: readonly EngineTurn[]): EngineResult {
  const { atOnce = BATCH_BLOCKS, valueBytes = BLOCK_BYTES, databases = 1 } = change
  const blocksInFlight = (atOnce * databases * valueBytes) / BLOCK_BYTES
  const rounds = turns.map(({ writes, reads, anonymousBytes }) => ({
    writesPerSecond: writes.operations / writes.seconds,
    writeCpuUs: (writes.cpuSeconds * 1e6) / writes.operations,
    batchUs: (writes.seconds * 1e6 * blocksInFlight) / writes.operations,
    amplification: writes.writtenBytes / (writes.operations * BLOCK_BYTES),
    readsPerSecond: reads.operations / reads.seconds,
    readCpuUs: (reads.cpuSeconds * 1e6) / reads.operations,
    anonymousBytes,
  }))
  return { name, ...medianOfEach(rounds) }
}
