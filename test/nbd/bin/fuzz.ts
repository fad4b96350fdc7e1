/**
 * Feeds damaged sessions to the NBD protocol: `npm run fuzz:nbd -- --inputs N [--seed S]`. Runs in pieces and prints
 * one line for each; a piece has a seed of its own, so that a failure is found again with `--seed` of its line alone.
 * Ends with 1 when an input breaks a promise, hangs, or when memory or handles grow.
 */
import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { damagedPieces, runDamaged, SESSIONS } from '../../../packages/client/test/nbd/support/fuzz-session.ts'
import { Random } from '../../../packages/client/test/nbd/support/random.ts'

const PIECE = 250_000
/** One input is a few thousand bytes: what takes longer than this hangs. */
const HANG_MS = 2000
const GROWTH_BYTES = 16 * 1024 * 1024

const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
})
const [inputs, firstSeed] = [Number(values.inputs), Number(values.seed)]
if (!Number.isSafeInteger(inputs) || inputs <= 0 || !Number.isSafeInteger(firstSeed)) {
  process.stderr.write('usage: npm run fuzz:nbd -- --inputs N [--seed S]: N is how many inputs, above 0\n')
  process.exit(2)
}

const sources = Object.values(SESSIONS)
const handles = (): number => readdirSync('/proc/self/fd').length

/** Bytes that are in use after everything that is not was collected. */
async function heapBytes(): Promise<number> {
  // The memory behind arrays is given back by a second collection, after a turn of the event loop.
  for (let round = 0; round < 2; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

interface Piece {
  readonly seconds: number
  readonly slowestMs: number
}

function runPiece(seed: number, count: number): Piece {
  const random = new Random(seed)
  const began = performance.now()
  let slowestMs = 0
  let before = began
  for (let index = 0; index < count; index++) {
    const pieces = damagedPieces(sources, random)
    try {
      runDamaged(pieces)
    } catch (error) {
      process.stderr.write(`input ${index} of seed ${seed}: ${Buffer.concat(pieces).toString('hex')}\n`)
      throw error
    }
    const now = performance.now()
    slowestMs = Math.max(slowestMs, now - before)
    before = now
  }
  return { seconds: (performance.now() - began) / 1000, slowestMs }
}

let base: { readonly heap: number; readonly handles: number } | undefined
for (let done = 0, seed = firstSeed; done < inputs; seed++) {
  const count = Math.min(PIECE, inputs - done)
  const { seconds, slowestMs } = runPiece(seed, count)
  done += count
  const now = { heap: await heapBytes(), handles: handles() }
  const heapMib = (now.heap / 1024 / 1024).toFixed(1)
  process.stdout.write(
    `seed ${seed}: ${done} inputs, ${Math.round(count / seconds)} a second, slowest ${slowestMs.toFixed(1)} ms, ` +
      `${heapMib} MiB, ${now.handles} handles\n`,
  )
  if (slowestMs > HANG_MS) throw new Error(`an input of seed ${seed} took ${slowestMs} ms`)
  // The first piece warms up: what is in use after it has to suffice for the rest of the run.
  base ??= now
  if (now.heap > base.heap + GROWTH_BYTES) throw new Error(`memory grew from ${base.heap} to ${now.heap} bytes`)
  if (now.handles > base.handles) throw new Error(`handles grew from ${base.handles} to ${now.handles}`)
}
