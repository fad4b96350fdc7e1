import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB } from '@ashlar/proto'
import { PROCESS_ENVIRONMENT } from '../../../../packages/cli/src/dev/plan.ts'
import { readMemory, settle } from '../../processes.ts'
import { Worker } from '../crew.ts'
import { BLOCK_BYTES, type PieceContext, type ProcessFigures } from '../piece.ts'
import { type EngineResult, type EngineTurn, engineResult, sumOf } from './result.ts'
import { BATCH_BLOCKS, ENGINE_VARIANTS, type EngineVariant } from './variants.ts'

/** A store is quiet once it has merged what was written: at most a few hundred MiB. */
const SETTLE_MS = 30_000

/**
 * Writes that do not count, as before a run of fio: a store that is idle has no pending merges and begins to write
 * tables only when its write buffer is full, so that a short run would see a large buffer write nothing but its log.
 */
const RAMP_SECONDS = 2
/**
 * LevelDB merges level 0 when it holds four tables, each a full write buffer: at ours every 128 MiB that are written. A
 * turn that writes less sees one such merge or none, by chance, and the same store took 42 us a block in one turn and
 * 125 in the next.
 */
const LEAST_BLOCKS = (512 * MIB) / BLOCK_BYTES
/** Of `--seconds` each: what is slow, as batches of one block are, need not write so much. */
const MOST_PARTS = 6

interface Contender {
  readonly variant: EngineVariant
  readonly worker: Worker
  readonly turns: EngineTurn[]
}

/**
 * The engine's options and ways to use it, each against ours. A store for each variant is filled and written at random
 * once, all of them stay open in processes of their own, and they are measured in turns, so that a machine which gets
 * slower meanwhile is so for all.
 */
export async function measureEngine(context: PieceContext): Promise<EngineResult[]> {
  const { options, log, signal } = context
  const directory = await mkdtemp(join(options.directory, 'ashlar-engine-'))
  const contenders: Contender[] = []
  try {
    for (const variant of ENGINE_VARIANTS) {
      const worker = await startStore(context, variant, join(directory, `${contenders.length}`))
      contenders.push({ variant, worker, turns: [] })
      await settle([{ name: variant.name, pid: worker.pid }], SETTLE_MS, signal)
      log(`${variant.name}: filled`)
    }
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      for (const contender of contenders) await takeTurn(context, contender)
    }
    return contenders.map(({ variant, turns }) => engineResult(variant, turns))
  } finally {
    for (const { worker } of contenders) await worker.end()
    await rm(directory, { recursive: true, force: true })
  }
}

function startStore({ options, signal }: PieceContext, { change }: EngineVariant, directory: string): Promise<Worker> {
  const settings = { directory, sizeBytes: options.sizeBytes, atOnce: BATCH_BLOCKS, ...change }
  // Memory is compared, so that it has to be that of a node.
  return Worker.start('bare-store', settings, signal, PROCESS_ENVIRONMENT)
}

async function takeTurn({ options, signal, log }: PieceContext, { variant, worker, turns }: Contender): Promise<void> {
  const measured = { name: variant.name, pid: worker.pid }
  await worker.measure(RAMP_SECONDS)
  const parts: ProcessFigures[] = []
  do parts.push(await worker.measure(options.seconds))
  while (parts.length < MOST_PARTS && sumOf(parts).operations < LEAST_BLOCKS)
  const writes = sumOf(parts)
  const reads = await worker.measure(options.seconds, 'read')
  const { anonymousBytes } = await readMemory(measured)
  const turn = { writes, reads, anonymousBytes }
  turns.push(turn)
  // What is left to merge is not to be paid for by the turn of the next, nor by the next one of this.
  await settle([measured], SETTLE_MS, signal)
  const { writesPerSecond, writeCpuUs, amplification, readCpuUs } = engineResult(variant, [turn])
  log(
    `${variant.name}: ${Math.round(writesPerSecond)} synced blocks a second, ${writeCpuUs.toFixed(1)} us CPU, ` +
      `written ${amplification.toFixed(1)} times; ${readCpuUs.toFixed(1)} us CPU a read`,
  )
}
