import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BlockDevice, ReadPart } from '@ashlar/client/nbd'
import { AshlarError, type ErrorCode } from '@ashlar/proto'
import { Random, seedOf } from './support/random.ts'

/** A size that is no multiple of any block, so that the last block is cut. */
export type DeviceMaker = (options: { readonly sizeBytes: number; readonly readOnly?: boolean }) => Promise<BlockDevice>

const SIZE = 3 * 1024 * 1024 + 4096

/** What every block device promises (see BlockDevice). `make` gives a new device that reads as zeroes. */
export function deviceConformance(name: string, make: DeviceMaker): void {
  describe(`${name} is a block device`, () => {
    reading(make)
    zeroing(make)
    edges(make)
    model(make)
  })
}

/** The bytes of a read; also checks the rules for its parts. */
export async function readBytes(device: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const parts = await device.read(offset, length)
  let zeroBefore = false
  for (const part of parts) {
    const zero = !(part instanceof Uint8Array)
    assert.ok((zero ? part.zeroBytes : part.length) > 0, 'no part is empty')
    assert.ok(!(zero && zeroBefore), 'zero runs are joined')
    zeroBefore = zero
  }
  const bytes = Buffer.concat(parts.map(bytesOf))
  assert.equal(bytes.length, length)
  return bytes
}

function bytesOf(part: ReadPart): Uint8Array {
  return part instanceof Uint8Array ? part : Buffer.alloc(part.zeroBytes)
}

async function withDevice(
  make: DeviceMaker,
  use: (device: BlockDevice) => Promise<void>,
  readOnly = false,
): Promise<void> {
  const device = await make({ sizeBytes: SIZE, readOnly })
  try {
    await use(device)
  } finally {
    await device.close()
  }
}

function rejectsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof AshlarError && error.code === code
}

function reading(make: DeviceMaker): void {
  test('a new device reads as zeroes and says its size', () =>
    withDevice(make, async (device) => {
      assert.equal(device.sizeBytes, SIZE)
      assert.ok(Number.isInteger(Math.log2(device.blockSizeBytes)))
      assert.deepEqual(await readBytes(device, 0, 10_000), Buffer.alloc(10_000))
    }))

  test('what was written is read back, at any alignment, and only there', () =>
    withDevice(make, async (device) => {
      for (const [offset, length] of [
        [0, 1],
        [4095, 2],
        [8192, 4096],
        [1_048_570, 20],
        [SIZE - 3, 3],
      ] as const) {
        await device.write(offset, Buffer.alloc(length, 0x5a))
        assert.deepEqual(await readBytes(device, offset, length), Buffer.alloc(length, 0x5a))
        if (offset > 0) assert.deepEqual(await readBytes(device, offset - 1, 1), Buffer.alloc(1))
      }
    }))

  test('the bytes of a write may change after it, and the bytes of a read belong to the caller', () =>
    withDevice(make, async (device) => {
      const bytes = Buffer.alloc(4096, 1)
      await device.write(0, bytes, { fua: true })
      bytes.fill(2)
      const [part] = await device.read(0, 4096)
      assert.ok(part instanceof Uint8Array)
      assert.equal(part[0], 1)
      part.fill(3)
      assert.deepEqual(await readBytes(device, 0, 4096), Buffer.alloc(4096, 1))
    }))

  test('a read fills memory that it is given, whatever was in it, and gives nothing else of it', () =>
    withDevice(make, async (device) => {
      await device.write(4096, Buffer.alloc(8192, 5))
      const given: Uint8Array[] = []
      const allocate = (length: number): Uint8Array => {
        const memory = Buffer.alloc(length, 9)
        given.push(memory)
        return memory
      }
      const parts = await device.read(0, 16_384, { allocate })
      const bytes = parts.map((part) => (part instanceof Uint8Array ? part : Buffer.alloc(part.zeroBytes)))
      assert.deepEqual(
        Buffer.concat(bytes),
        Buffer.concat([Buffer.alloc(4096), Buffer.alloc(8192, 5), Buffer.alloc(4096)]),
      )
      for (const part of parts) {
        if (part instanceof Uint8Array) assert.ok(given.some(({ buffer }) => buffer === part.buffer))
      }
    }))

  test('flush resolves', () =>
    withDevice(make, async (device) => {
      await device.write(0, Buffer.alloc(512, 1))
      await device.flush()
    }))
}

function zeroing(make: DeviceMaker): void {
  test('zeroes are written to exactly the range', () =>
    withDevice(make, async (device) => {
      await device.write(0, Buffer.alloc(20_000, 7))
      await device.writeZeroes(4090, 8200)
      const expected = Buffer.alloc(20_000, 7).fill(0, 4090, 4090 + 8200)
      assert.deepEqual(await readBytes(device, 0, 20_000), expected)
      await device.writeZeroes(0, SIZE, { fua: true, noHole: true })
      assert.deepEqual(await readBytes(device, 0, 20_000), Buffer.alloc(20_000))
    }))

  test('trimmed blocks read as zeroes; bytes outside the range stay', () =>
    withDevice(make, async (device) => {
      const block = device.blockSizeBytes
      await device.write(0, Buffer.alloc(5 * block, 7))
      await device.trim(block + 1, 3 * block - 2)
      const bytes = await readBytes(device, 0, 5 * block)
      assert.deepEqual(bytes.subarray(0, block + 1), Buffer.alloc(block + 1, 7))
      assert.deepEqual(bytes.subarray(2 * block, 3 * block), Buffer.alloc(block))
      assert.deepEqual(bytes.subarray(4 * block - 1), Buffer.alloc(block + 1, 7))
    }))

  test('allocation gives runs that cover the range, and never calls data zero', () =>
    withDevice(make, async (device) => {
      const block = device.blockSizeBytes
      await device.write(block, Buffer.alloc(block, 7))
      await device.write(3 * block + 5, Buffer.of(1))
      let at = 0
      while (at < SIZE) {
        const runs = await device.allocation(at, SIZE - at)
        assert.ok(runs.length > 0)
        for (const run of runs) {
          assert.ok(run.length > 0 && at + run.length <= SIZE)
          if (run.zero) assert.deepEqual(await readBytes(device, at, run.length), Buffer.alloc(run.length))
          at += run.length
        }
      }
      const inside = await device.allocation(block + 1, 2)
      assert.deepEqual(inside[0], { length: 2, hole: false, zero: false })
    }))
}

function edges(make: DeviceMaker): void {
  test('ranges that are empty or leave the device are OUT_OF_RANGE', () =>
    withDevice(make, async (device) => {
      for (const [offset, length] of [
        [0, 0],
        [SIZE, 1],
        [SIZE - 1, 2],
        [-1, 2],
        [0, SIZE + 1],
      ] as const) {
        await assert.rejects(device.read(offset, length), rejectsWith('OUT_OF_RANGE'), `read ${offset} ${length}`)
        await assert.rejects(device.write(offset, Buffer.alloc(length)), rejectsWith('OUT_OF_RANGE'))
        await assert.rejects(device.trim(offset, length), rejectsWith('OUT_OF_RANGE'))
        await assert.rejects(device.writeZeroes(offset, length), rejectsWith('OUT_OF_RANGE'))
        await assert.rejects(device.allocation(offset, length), rejectsWith('OUT_OF_RANGE'))
      }
    }))

  test('a read-only device refuses changes and reads', () =>
    withDevice(
      make,
      async (device) => {
        assert.equal(device.readOnly, true)
        await assert.rejects(device.write(0, Buffer.of(1)), rejectsWith('READ_ONLY'))
        await assert.rejects(device.trim(0, 4096), rejectsWith('READ_ONLY'))
        await assert.rejects(device.writeZeroes(0, 4096), rejectsWith('READ_ONLY'))
        assert.deepEqual(await readBytes(device, 0, 10), Buffer.alloc(10))
        await device.flush()
      },
      true,
    ))

  test('a call whose signal is aborted rejects', () =>
    withDevice(make, async (device) => {
      const signal = AbortSignal.abort()
      await assert.rejects(device.read(0, 1, { signal }))
      await assert.rejects(device.write(0, Buffer.of(1), { signal }))
    }))

  test('a closed device answers CLOSED', async () => {
    const device = await make({ sizeBytes: SIZE })
    await device.close()
    await assert.rejects(device.read(0, 1), rejectsWith('CLOSED'))
    await assert.rejects(device.write(0, Buffer.of(1)), rejectsWith('CLOSED'))
    await assert.rejects(device.flush(), rejectsWith('CLOSED'))
  })
}

function model(make: DeviceMaker): void {
  const seed = seedOf(7)
  test(`random calls give what an array of bytes would (seed ${seed})`, () =>
    withDevice(make, async (device) => {
      const random = new Random(seed)
      const expected = Buffer.alloc(SIZE)
      const block = device.blockSizeBytes
      for (let count = 0; count < 300; count++) {
        const offset = random.below(SIZE)
        const length = 1 + random.below(Math.min(random.pick([10, block, 5 * block, SIZE]), SIZE - offset))
        const kind = random.below(5)
        if (kind === 0) {
          await device.writeZeroes(offset, length, { noHole: random.below(2) === 0 })
          expected.fill(0, offset, offset + length)
        } else if (kind === 1) {
          await device.trim(offset, length)
          const found = await readBytes(device, offset, length)
          // The cut blocks at the ends may keep their bytes or lose them.
          const first = Math.ceil(offset / block) * block
          const end = Math.floor((offset + length) / block) * block
          for (let at = 0; at < length; at++) {
            const inside = offset + at >= first && offset + at < end
            if (inside) assert.equal(found[at], 0)
            else assert.ok(found[at] === 0 || found[at] === expected[offset + at])
          }
          found.copy(expected, offset)
        } else if (kind === 2) {
          const found = await readBytes(device, offset, length)
          assert.ok(found.equals(expected.subarray(offset, offset + length)), `read ${offset} ${length}`)
        } else {
          const bytes = Buffer.alloc(length, 1 + random.below(255))
          await device.write(offset, bytes)
          bytes.copy(expected, offset)
        }
      }
      assert.ok((await readBytes(device, 0, SIZE)).equals(expected))
    }))
}
