import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Prng } from '@ashlar/node/core'
import { KIB } from '@ashlar/proto'
import { openStore } from '../../packages/node/src/storage/index.ts'
import { blocksOfWrite, operation, StoreRunner } from '../../packages/node/test/storage/store-kit.ts'
import { runCallPoint } from './calls.ts'
import { filesOf, runFlipPoint } from './flips.ts'
import { callPoints, chosen, flipPoints, nameOf, type Point } from './points.ts'

export interface SweepOptions {
  /** Points to try, half of them calls that fail and half flipped bits; all there are when it is more. */
  readonly points: number
  readonly seed: number
  /** Called for each point with what came of it. */
  readonly onPoint?: (name: string, outcome: string) => void
}

export interface SweepReport {
  readonly points: number
  /** How often each outcome came, by kind of point. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Points at which a promise was broken, and how. */
  readonly violations: readonly string[]
}

/** Writes of the store in which bits are flipped: enough for tables at two levels and a log. */
const WRITES = 150

/** Makes stores in a directory of its own and breaks a copy of one at each point. */
export async function sweep({ points, seed, onPoint }: SweepOptions): Promise<SweepReport> {
  const root = await mkdtemp(join(tmpdir(), 'ashlar-sweep-'))
  try {
    const formatted = await writtenStore(join(root, 'formatted'), 0)
    const written = await writtenStore(join(root, 'written'), WRITES)
    const prng = new Prng(seed)
    const random = () => prng.next()
    const half = Math.ceil(points / 2)
    const calls = chosen<Point>(callPoints(), half, random)
    const all = [...calls, ...chosen(flipPoints(await filesOf(written), random), points - half, random)]
    const outcomes = new Map<string, number>()
    const violations: string[] = []
    for (const [at, point] of all.entries()) {
      const place = join(root, `point-${at}`)
      const outcome = await runPoint({ formatted, written }, place, point).catch((error: unknown) => {
        violations.push(`${nameOf(point)}: ${error instanceof Error ? error.message : String(error)}`)
        return 'VIOLATION'
      })
      const counted = `${point.kind === 'flip' ? 'flipped bit' : `${point.fault} at ${point.call}`}: ${outcome}`
      outcomes.set(counted, (outcomes.get(counted) ?? 0) + 1)
      onPoint?.(nameOf(point), outcome)
    }
    return { points: all.length, outcomes, violations }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

function runPoint(stores: { formatted: string; written: string }, place: string, point: Point): Promise<string> {
  if (point.kind === 'flip') return runFlipPoint(stores.written, place, point, WRITES)
  return runCallPoint(stores.formatted, place, point)
}

/** A closed store with the first `writes` writes of the writer; returns its directory. */
async function writtenStore(directory: string, writes: number): Promise<string> {
  const runner = new StoreRunner()
  const engine = { writeBufferBytes: 256 * KIB, maxFileBytes: 1024 * KIB }
  runner.use(await openStore({ directory, ballastBytes: 0, engine }, runner.complete))
  runner.create()
  for (let seq = 1; seq <= writes; seq++) {
    await runner.write(seq, blocksOfWrite(seq), { operation: operation(5, seq, seq, Math.max(0, seq - 8)) })
  }
  await runner.store.close()
  return directory
}
