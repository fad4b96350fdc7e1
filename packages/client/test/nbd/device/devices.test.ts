import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delayFilter, errorFilter, failShare, type LoggedCall, logFilter, MemoryDevice } from '@ashlar/client/nbd'
import { AshlarError, MIB } from '@ashlar/proto'
import { deviceConformance, readBytes } from '../device-conformance.ts'

deviceConformance('a memory device', async (options) => new MemoryDevice(options))
deviceConformance('a memory device of 64 KiB blocks', async (options) => {
  return new MemoryDevice({ ...options, blockSizeBytes: 64 * 1024 })
})
deviceConformance('a delay filter', async (options) =>
  delayFilter(new MemoryDevice(options), { flushMs: 1, readMs: 0 }),
)
deviceConformance('an error filter that fails nothing', async (options) => {
  return errorFilter(new MemoryDevice(options), { fails: () => false })
})
deviceConformance('a log filter', async (options) => logFilter(new MemoryDevice(options), () => {}))

test('a memory device distinguishes holes, data and allocated zeroes', async () => {
  const device = new MemoryDevice({ sizeBytes: 4 * MIB })
  await device.write(MIB - 4096, Buffer.alloc(8192, 1))
  await device.writeZeroes(2 * MIB, 4096, { noHole: true })
  await device.write(3 * MIB, Buffer.alloc(8192, 1))
  await device.writeZeroes(3 * MIB, 4096)
  assert.deepEqual(await device.allocation(0, 4 * MIB), [
    { length: MIB - 4096, hole: true, zero: true },
    { length: 8192, hole: false, zero: false },
    { length: MIB - 4096, hole: true, zero: true },
    { length: 4096, hole: false, zero: true },
    { length: MIB, hole: true, zero: true },
    { length: 4096, hole: false, zero: false },
    { length: MIB - 8192, hole: true, zero: true },
  ])
  assert.deepEqual(await device.read(0, 2 * MIB), [
    { zeroBytes: MIB - 4096 },
    Buffer.alloc(4096, 1),
    Buffer.alloc(4096, 1),
    { zeroBytes: MIB - 4096 },
  ])
})

test('a memory device says which option is wrong', () => {
  for (const sizeBytes of [0, -1, 1.5, 2 ** 60]) {
    assert.throws(() => new MemoryDevice({ sizeBytes }), /sizeBytes is .*; give/)
  }
  for (const blockSizeBytes of [0, 3, 2 * MIB]) {
    assert.throws(() => new MemoryDevice({ sizeBytes: MIB, blockSizeBytes }), /blockSizeBytes is .*; give/)
  }
})

test('an error filter fails the chosen calls, without effect', async () => {
  const memory = new MemoryDevice({ sizeBytes: MIB })
  const device = errorFilter(memory, {
    fails: (call) => call.name === 'write' && call.offset === 4096,
    code: 'NO_SPACE',
  })
  await device.write(0, Buffer.of(1))
  await assert.rejects(
    device.write(4096, Buffer.of(1)),
    (error) => error instanceof AshlarError && error.code === 'NO_SPACE',
  )
  assert.deepEqual(await readBytes(memory, 4096, 1), Buffer.of(0))
})

test('a share of failures is the same for the same seed, and close to the requested share', () => {
  const call = { name: 'read', offset: 0, length: 1, fua: false, noHole: false, signal: undefined } as const
  const chosen = (seed: number): boolean[] => {
    const fails = failShare(0.25, seed)
    return Array.from({ length: 4000 }, () => fails(call))
  }
  assert.deepEqual(chosen(5), chosen(5))
  assert.notDeepEqual(chosen(5), chosen(6))
  const share = chosen(5).filter(Boolean).length / 4000
  assert.ok(share > 0.2 && share < 0.3, `${share}`)
})

test('a delay filter lets calls overtake each other, and an abort ends a wait', async () => {
  const ended: string[] = []
  const memory = new MemoryDevice({ sizeBytes: MIB })
  const device = delayFilter(
    logFilter(memory, (call) => ended.push(call.name)),
    { writeMs: 50, readMs: 5, trimMs: 60_000 },
  )
  await Promise.all([device.write(0, Buffer.of(1)), device.read(0, 1)])
  assert.deepEqual(ended, ['read', 'write'])
  const abort = new AbortController()
  const trim = device.trim(0, 4096, { signal: abort.signal })
  abort.abort()
  await assert.rejects(trim, (error) => error instanceof AshlarError && error.code === 'ABORTED')
})

test('a log filter logs each call once with its outcome', async () => {
  const calls: LoggedCall[] = []
  const device = logFilter(new MemoryDevice({ sizeBytes: MIB }), (call) => calls.push(call))
  await device.write(512, Buffer.alloc(10), { fua: true })
  await assert.rejects(device.read(MIB, 1))
  await device.close()
  assert.deepEqual(
    calls.map(({ name, offset, length, fua, began, ended, error }) => [
      name,
      offset,
      length,
      fua,
      began,
      ended,
      !!error,
    ]),
    [
      ['write', 512, 10, true, 0, 0, false],
      ['read', MIB, 1, false, 1, 1, true],
      ['close', 0, 0, false, 2, 2, false],
    ],
  )
})
