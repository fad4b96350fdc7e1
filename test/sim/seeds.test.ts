import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { simulate, simulateLater } from './simulator.ts'

const FIRST = 1
const SEEDS = 1000
/** On disks that run full, beside those. */
const FULL_DISKS_FIRST = 1
const FULL_DISK_SEEDS = 500
/** Of the wide family, beside those. */
const WIDE_FIRST = 1
const WIDE_SEEDS = 100
const JOBS = 2
const LIMIT_MS = 900_000

describe('random schedules', () => {
  it(`${SEEDS} seeds from ${FIRST} break no invariant`, { timeout: LIMIT_MS }, async (t) => {
    const { calls, takeovers } = await runSeeds(t, FIRST, SEEDS)
    // A run in which little happens proves little: what a healthy run does has to be seen.
    assert.ok(calls > SEEDS * 100, `only ${calls} calls ended well`)
    assert.ok(takeovers > SEEDS * 3, `only ${takeovers} takeovers`)
  })
})

describe('random schedules on disks that run full', () => {
  it(`${FULL_DISK_SEEDS} seeds from ${FULL_DISKS_FIRST} break no invariant`, { timeout: LIMIT_MS }, async (t) => {
    const { calls, takeovers, refused } = await runSeeds(t, FULL_DISKS_FIRST, FULL_DISK_SEEDS, '--full-disks')
    assert.ok(calls > FULL_DISK_SEEDS * 100, `only ${calls} calls ended well`)
    assert.ok(takeovers > FULL_DISK_SEEDS * 3, `only ${takeovers} takeovers`)
    assert.ok(refused > FULL_DISK_SEEDS * 20, `only ${refused} requests met a full disk`)
  })
})

describe('random schedules of the wide family', () => {
  it(`${WIDE_SEEDS} seeds from ${WIDE_FIRST} break no invariant`, { timeout: LIMIT_MS }, async (t) => {
    const { calls, takeovers } = await runSeeds(t, WIDE_FIRST, WIDE_SEEDS, '--wide')
    assert.ok(calls > WIDE_SEEDS * 100, `only ${calls} calls ended well`)
    assert.ok(takeovers > WIDE_SEEDS * 3, `only ${takeovers} takeovers`)
  })
})

describe('seeds that failed once', () => {
  for (const [seed, what, voters] of [
    [246, 'a store that was away when a volume was removed drops its replica, and can be trusted again'],
    [414, 'the same, with three voters'],
    [10643, 'a discard that an earlier primary had begun changes nothing on the next one, which never had that block'],
    [10030, 'a change of a set is answered in the step that removes its volume', 5],
    [11550, 'the new store of a voter that was lost before it ever registered takes its place'],
    [11030, 'the same, with five voters'],
    [11633, 'a retry whose block was rolled back by a comparison that never ended is done again', 5],
    [203, 'a suspect primary that is alone in sync makes way for a store that was kept, though that is away', 1],
    [1417, 'a node that was away while a second voter came and led control finds it', 1],
  ] as const) {
    it(`seed ${seed}: ${what}`, () =>
      assert.deepEqual(simulate(seed, voters === undefined ? {} : { voters }).violations, []))
  }
  for (const [seed, what, voters] of [
    [214, 'a retry whose blocks were rolled back by a copy that never ended is done again', 5],
    [13, 'of a wiped store and a suspect one the suspect one serves what is left', 5],
  ] as const) {
    it(`seed ${seed} on full disks: ${what}`, () =>
      assert.deepEqual(simulate(seed, { voters, fullDisks: true }).violations, []))
  }
})

describe('wide seeds that failed once', () => {
  for (const [seed, what] of [
    [12, 'a client renews its attachment over links that know the command'],
    [67, 'where all replicas have to be in sync, one that becomes suspect leaves'],
  ] as const) {
    it(`seed ${seed}: ${what}`, async () =>
      assert.deepEqual((await simulateLater(seed, { wide: true })).violations, []))
  }
})

interface Sum {
  readonly calls: number
  readonly activations: number
  readonly refusedForSpace: number
}

/** Runs seeds, which must pass, and says what happened in all of them together. */
async function runSeeds(t: TestContext, first: number, count: number, ...options: readonly string[]) {
  const args = ['--first', String(first), '--count', String(count), '--jobs', String(JOBS), '--quiet', ...options]
  const { code, text } = await run([join(import.meta.dirname, 'bin/ashlar-sim.ts'), ...args])
  for (const line of text.trim().split('\n')) t.diagnostic(line)
  assert.equal(code, 0, text)
  const sums = [...text.matchAll(/^sum (.*)$/gm)].map((match) => JSON.parse(match[1] as string) as Sum)
  const sum = (key: keyof Sum): number => sums.reduce((all, each) => all + each[key], 0)
  return { calls: sum('calls'), takeovers: sum('activations'), refused: sum('refusedForSpace') }
}

function run(args: readonly string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, ['--conditions=ashlar-source', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, text })))
}
