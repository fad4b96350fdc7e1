import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { BLOCK_ABSENT, BLOCK_DATA, type BlockKind } from '@ashlar/proto'
import { exportInOrder, exportWithHoles, runsOf } from '../src/images/export.ts'
import { CHUNK_BYTES, chunksOf, importImage, isZero, zeroRuns } from '../src/images/import.ts'
import { InFlight } from '../src/images/in-flight.ts'

const BLOCK = 4096

/** A volume in memory that knows which of its blocks were written. */
class MemoryVolume {
  readonly name = 'demo'
  readonly blockSizeBytes = BLOCK
  readonly sizeBytes: number
  readonly bytes: Uint8Array
  readonly written = new Set<number>()
  flushed = false
  fail: Error | undefined
  running = 0
  mostRunning = 0

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes
    this.bytes = new Uint8Array(sizeBytes)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.mostRunning = Math.max(this.mostRunning, ++this.running)
    await turn()
    this.running--
    if (this.fail !== undefined) throw this.fail
    this.bytes.set(bytes, offset)
    for (let at = offset; at < offset + bytes.length; at += BLOCK) this.written.add(Math.floor(at / BLOCK))
    this.flushed = false
  }

  async trim(offset: number, length: number): Promise<void> {
    await turn()
    this.bytes.fill(0, offset, offset + length)
    for (let at = offset; at < offset + length; at += BLOCK) this.written.delete(Math.floor(at / BLOCK))
  }

  async flush(): Promise<void> {
    this.flushed = true
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    await turn()
    if (this.fail !== undefined) throw this.fail
    return this.bytes.slice(offset, offset + length)
  }

  async allocation(offset: number, length: number): Promise<{ length: number; kind: BlockKind }[]> {
    const runs: { length: number; kind: BlockKind }[] = []
    for (let at = offset; at < offset + length; at += BLOCK) {
      const kind = this.written.has(at / BLOCK) ? BLOCK_DATA : BLOCK_ABSENT
      const size = Math.min(BLOCK, offset + length - at)
      const last = runs.at(-1)
      if (last?.kind === kind) last.length += size
      else runs.push({ length: size, kind })
    }
    return runs
  }
}

/** Bytes in pieces of the given sizes, over and over. */
async function* inPieces(bytes: Uint8Array, ...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, piece = 0; at < bytes.length; piece++) {
    const size = sizes[piece % sizes.length] ?? bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** An image with data, zeroes and a ragged end. */
function sampleImage(): Uint8Array {
  const image = new Uint8Array(5 * CHUNK_BYTES + 1000)
  image.set(randomBytes(CHUNK_BYTES + 3 * BLOCK), 0)
  image.set(randomBytes(BLOCK), 3 * CHUNK_BYTES + BLOCK)
  image.set(randomBytes(1000), 5 * CHUNK_BYTES)
  return image
}

const ignore = (): void => undefined

describe('an import', () => {
  it('writes the image whatever pieces it comes in, and flushes', async () => {
    const image = sampleImage()
    for (const sizes of [[image.length], [1, 4095, 70_000], [CHUNK_BYTES], [CHUNK_BYTES + 1]]) {
      const volume = new MemoryVolume(8 * CHUNK_BYTES)
      assert.equal(await importImage(inPieces(image, ...sizes), volume, ignore), image.length)
      assert.deepEqual(Buffer.compare(volume.bytes.subarray(0, image.length), image), 0, String(sizes))
      assert.equal(volume.flushed, true)
    }
  })

  it('writes no block of zeroes, and lets no old bytes shine through', async () => {
    const volume = new MemoryVolume(8 * CHUNK_BYTES)
    await volume.write(0, randomBytes(8 * CHUNK_BYTES))
    const image = sampleImage()
    await importImage(inPieces(image, 65_536), volume, ignore)
    assert.equal(Buffer.compare(volume.bytes.subarray(0, image.length), image), 0)
    const imageBlocks = [...volume.written].filter((block) => block * BLOCK < image.length)
    assert.equal(imageBlocks.length, 256 + 3 + 1 + 1)
  })

  it('leaves what lies behind the end of the image as it is', async () => {
    const volume = new MemoryVolume(2 * CHUNK_BYTES)
    await volume.write(0, new Uint8Array(2 * CHUNK_BYTES).fill(7))
    await importImage(inPieces(new Uint8Array(BLOCK).fill(1)), volume, ignore)
    assert.deepEqual([volume.bytes[BLOCK - 1], volume.bytes[BLOCK]], [1, 7])
  })

  it('refuses an image that is larger than the volume', async () => {
    const volume = new MemoryVolume(CHUNK_BYTES)
    const image = inPieces(new Uint8Array(CHUNK_BYTES + 1).fill(1), 65_536)
    await assert.rejects(importImage(image, volume, ignore), { code: 'OUT_OF_RANGE' })
  })

  it('ends with the first failure, once nothing is on its way any more', async () => {
    const volume = new MemoryVolume(64 * CHUNK_BYTES)
    volume.fail = new Error('no room')
    const image = inPieces(new Uint8Array(64 * CHUNK_BYTES).fill(1), CHUNK_BYTES)
    await assert.rejects(importImage(image, volume, ignore), /no room/)
    assert.equal(volume.running, 0)
    assert.equal(volume.flushed, false)
  })

  it('keeps a bounded number of writes on their way', async () => {
    const volume = new MemoryVolume(64 * CHUNK_BYTES)
    await importImage(inPieces(new Uint8Array(64 * CHUNK_BYTES).fill(1), CHUNK_BYTES), volume, ignore)
    assert.ok(volume.mostRunning > 1 && volume.mostRunning <= 8, `${volume.mostRunning} at once`)
  })

  it('reports progress that adds up to the image', async () => {
    const image = sampleImage()
    let [bytes, zeroes] = [0, 0]
    await importImage(inPieces(image, 65_536), new MemoryVolume(8 * CHUNK_BYTES), (count, hole) => {
      bytes += count
      if (hole) zeroes += count
    })
    assert.equal(bytes, image.length)
    assert.equal(zeroes, image.length - 1000 - (256 + 3 + 1) * BLOCK)
  })
})

describe('an export', () => {
  async function exported(): Promise<{ volume: MemoryVolume; image: Uint8Array }> {
    const volume = new MemoryVolume(6 * CHUNK_BYTES)
    await volume.write(BLOCK, randomBytes(2 * CHUNK_BYTES))
    await volume.write(5 * CHUNK_BYTES, randomBytes(BLOCK))
    return { volume, image: volume.bytes }
  }

  it('puts what holds data and leaves holes where nothing does', async () => {
    const { volume, image } = await exported()
    const file = new Uint8Array(image.length)
    let put = 0
    const target = {
      put: async (offset: number, bytes: Uint8Array) => {
        file.set(bytes, offset)
        put += bytes.length
      },
    }
    let told = 0
    await exportWithHoles(volume, target, (bytes) => {
      told += bytes
    })
    assert.equal(Buffer.compare(file, image), 0)
    assert.equal(put, 2 * CHUNK_BYTES + BLOCK)
    assert.equal(told, image.length)
  })

  it('to a pipe is the whole image in order', async () => {
    const { volume, image } = await exported()
    const chunks: Uint8Array[] = []
    for await (const bytes of exportInOrder(volume, ignore)) chunks.push(Uint8Array.from(bytes))
    assert.equal(Buffer.compare(Buffer.concat(chunks), image), 0)
  })

  it('covers the volume by runs without a gap, data in chunks', async () => {
    const { volume } = await exported()
    let at = 0
    for await (const run of runsOf(volume)) {
      assert.equal(run.offset, at)
      assert.ok(run.hole || run.length <= CHUNK_BYTES)
      at += run.length
    }
    assert.equal(at, volume.sizeBytes)
  })

  it('fails when a read fails, to a file as to a pipe', async () => {
    const { volume } = await exported()
    volume.fail = new Error('unreadable')
    await assert.rejects(exportWithHoles(volume, { put: async () => undefined }, ignore), /unreadable/)
    await assert.rejects(async () => {
      for await (const _ of exportInOrder(volume, ignore)) assert.ok(_)
    }, /unreadable/)
  })
})

describe('parts of an image', () => {
  it('are chunks of memory of their own', async () => {
    const bytes = randomBytes(CHUNK_BYTES * 2 + 5)
    const chunks: Uint8Array[] = []
    for await (const chunk of chunksOf(inPieces(bytes, 300_001))) chunks.push(chunk)
    assert.deepEqual(
      chunks.map(({ length }) => length),
      [CHUNK_BYTES, CHUNK_BYTES, 5],
    )
    assert.equal(Buffer.compare(Buffer.concat(chunks), bytes), 0)
    assert.notEqual(chunks[0]?.buffer, chunks[1]?.buffer)
  })

  it('are runs of whole blocks that are all zeroes, or not', () => {
    const bytes = new Uint8Array(4 * BLOCK + 10)
    bytes[2 * BLOCK] = 1
    assert.deepEqual(
      zeroRuns(bytes, BLOCK).map(({ zero, bytes: part }) => [zero, part.length]),
      [
        [true, 2 * BLOCK],
        [false, BLOCK],
        [true, BLOCK + 10],
      ],
    )
  })

  it('are zero only when every byte is', () => {
    const bytes = new Uint8Array(BLOCK)
    assert.equal(isZero(bytes), true)
    bytes[BLOCK - 1] = 1
    assert.equal(isZero(bytes), false)
    assert.equal(isZero(new Uint8Array(0)), true)
  })
})

describe('operations in flight', () => {
  it('begin nothing more after a failure, and wait for what was begun', async () => {
    const inFlight = new InFlight(2)
    const begun: number[] = []
    const ended: number[] = []
    const work = (number: number, fails: boolean) => async () => {
      begun.push(number)
      await turn()
      ended.push(number)
      if (fails) throw new Error(`failure ${number}`)
    }
    await inFlight.add(work(1, true))
    await inFlight.add(work(2, false))
    await assert.rejects(async () => {
      for (let number = 3; number < 10; number++) await inFlight.add(work(number, false))
    }, /failure 1/)
    await assert.rejects(inFlight.settled(), /failure 1/)
    assert.deepEqual(ended, begun)
    assert.ok(begun.length < 9)
  })
})
