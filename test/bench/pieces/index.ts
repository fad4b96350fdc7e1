import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { InvariantError } from '@ashlar/proto'
import type { BenchOptions } from '../options.ts'
import { Worker, withWorkers } from './crew.ts'
import { measureEngine } from './engine/index.ts'
import type { EngineResult } from './engine/result.ts'
import { nbdAlone, nbdBesideNbdkit } from './nbd.ts'
import { mediansOf, type PieceContext, type PieceKind, type PieceResult, type WorkerFigures } from './piece.ts'

const AT_ONCE = 16

/** What can be asked for by name, in the order in which it is measured. */
const PIECES: Readonly<Record<string, (context: PieceContext) => Promise<PieceResult[]>>> = {
  disk: async (context) => [await stores(context, 'disk', 1), await stores(context, 'disk', 3)],
  'bare-store': async (context) => [await stores(context, 'bare-store', 1), await stores(context, 'bare-store', 3)],
  'ashlar-store': async (context) => [
    await stores(context, 'ashlar-store', 1),
    await stores(context, 'ashlar-store', 3),
  ],
  websocket: async (context) => [...(await websocket(context, 1)), ...(await websocket(context, AT_ONCE))],
  nbd: nbdAlone,
  nbdkit: nbdBesideNbdkit,
}
/** By name only: seventeen stores take longer than all pieces together. */
const ENGINE = 'engine'
export const PIECE_NAMES: readonly string[] = [...Object.keys(PIECES), ENGINE]

export interface PieceResults {
  readonly pieces: readonly PieceResult[]
  readonly engine: readonly EngineResult[]
}

/**
 * Runs pieces by themselves, one after the other: those that `options.names` names, or all but the engine's options.
 */
export async function runPieces(
  options: BenchOptions,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<PieceResults> {
  const context = { options, log, signal }
  const pieces: PieceResult[] = []
  for (const [name, run] of Object.entries(PIECES)) {
    if (options.names.length === 0 || options.names.includes(name)) pieces.push(...(await run(context)))
  }
  return { pieces, engine: options.names.includes(ENGINE) ? await measureEngine(context) : [] }
}

const STORE_NAMES: Readonly<Record<string, string>> = {
  disk: 'disk alone, 68 KiB appended and synced',
  'bare-store': 'LevelDB alone, synced batches of 16 blocks',
  'ashlar-store': "Ashlar's store, 16 commits at once",
}

async function stores(context: PieceContext, kind: PieceKind, together: number): Promise<PieceResult> {
  const { options, signal } = context
  const directory = await mkdtemp(join(options.directory, 'ashlar-pieces-'))
  const plans = Array.from({ length: together }, (_, number) => ({
    kind,
    settings: {
      directory: join(directory, `${number}`),
      sizeBytes: options.sizeBytes,
      atOnce: AT_ONCE,
    },
  }))
  try {
    return await withWorkers(plans, signal, async (workers) => {
      const rounds: WorkerFigures[][] = []
      for (let repeat = 0; repeat < options.repeats; repeat++) rounds.push(await measureAll(workers, options.seconds))
      return logged(context, { name: STORE_NAMES[kind] ?? kind, together, ...mediansOf(rounds) })
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measureAll(workers: readonly Worker[], seconds: number): Promise<WorkerFigures[]> {
  const outcomes = await Promise.allSettled(workers.map((worker) => worker.measure(seconds)))
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

/** A row of the sender and one of the receiver: each side's CPU is a cost of its own. */
async function websocket(context: PieceContext, atOnce: number): Promise<PieceResult[]> {
  const { options, signal } = context
  return await withWorkers([{ kind: 'websocket-server', settings: {} }], signal, async ([server]) => {
    if (server === undefined) throw new InvariantError('one worker was asked for')
    const client = await Worker.start('websocket-client', { address: server.address, atOnce }, signal)
    try {
      const rounds: WorkerFigures[][] = []
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        rounds.push(await measureAll([client, server], options.seconds))
      }
      return (['sender', 'receiver'] as const).map((side, index) => {
        const own = rounds.map((round) => round.slice(index, index + 1))
        return logged(context, { name: `4 KiB over ws, ${atOnce} a frame: ${side}`, together: 1, ...mediansOf(own) })
      })
    } finally {
      await client.end()
    }
  })
}

function logged({ log }: PieceContext, result: PieceResult): PieceResult {
  const rate = Math.round(result.operationsPerSecond)
  log(`${result.name}, ${result.together} at once: ${rate} a second each, ${result.cpuUs.toFixed(1)} us CPU`)
  return result
}
