import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BlockDevice,
  deviceExports,
  errorFilter,
  type LoggedCall,
  logFilter,
  MemoryDevice,
} from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { readBytes } from '../device-conformance.ts'
import { eventually, Gate, held, withServer } from '../support/test-server.ts'
import { CMD, ERR, FLAG, infoData, OPT, REP, u32 } from '../support/wire.ts'

function memory(): MemoryDevice {
  return new MemoryDevice({ sizeBytes: 16 * MIB })
}

test('nbd 63, 69: writes are read back over simple replies', () =>
  withServer({}, async ({ attach }) => {
    const client = await attach({ structured: false })
    assert.equal(await client.errorOf({ command: CMD.WRITE, offset: 5, payload: Buffer.from('hello') }), 0)
    client.send({ command: CMD.READ, offset: 4, length: 7, cookie: 2n ** 64n - 1n })
    assert.deepEqual(await client.reply(7), {
      kind: 'simple',
      cookie: 2n ** 64n - 1n,
      error: 0,
      data: Buffer.from('\0hello\0'),
    })
  }))

test('nbd 64, 67: structured reads send data and holes', () =>
  withServer({}, async ({ attach }) => {
    const client = await attach()
    await client.errorOf({ command: CMD.WRITE, offset: 8192, payload: Buffer.alloc(4096, 3) })
    client.send({ command: CMD.READ, offset: 0, length: 16384 })
    const types = [await client.reply(), await client.reply(), await client.reply()].map((chunk) => {
      assert.ok(chunk.kind === 'chunk')
      return [chunk.type, chunk.flags, Number(chunk.data.readBigUInt64BE(0))]
    })
    assert.deepEqual(types, [
      [2, 0, 0],
      [1, 0, 8192],
      [2, 1, 12288],
    ])
    assert.deepEqual(await client.readRange(8192, 4096, FLAG.DF), Buffer.alloc(4096, 3))
  }))

test('nbd 61: reads up to the maximum work, one byte more is EINVAL and the connection goes on', () =>
  withServer({ device: new MemoryDevice({ sizeBytes: 128 * MIB }) }, async ({ attach, device }) => {
    await device.write(0, Buffer.alloc(32 * MIB, 0x77))
    const client = await attach()
    assert.ok((await client.readRange(0, 32 * MIB)).equals(Buffer.alloc(32 * MIB, 0x77)))
    assert.equal(await client.errorOf({ command: CMD.READ, length: 32 * MIB + 1 }), ERR.EINVAL)
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(32 * MIB, 1) }), 0)
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(32 * MIB + 1) }), ERR.EINVAL)
    assert.deepEqual(await readBytes(device, 32 * MIB - 1, 2), Buffer.of(1, 0))
  }))

test('nbd 53, 54: bad requests are answered and the stream stays in step', () =>
  withServer({}, async ({ attach }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: 99 }), ERR.EINVAL)
    assert.equal(await client.errorOf({ command: CMD.RESIZE, length: 1 }), ERR.EINVAL)
    const payload = Buffer.alloc(100_000, 0x25)
    assert.equal(await client.errorOf({ command: CMD.WRITE, flags: FLAG.DF, payload }), ERR.EINVAL)
    assert.equal(await client.errorOf({ command: CMD.WRITE, offset: 16 * MIB - 1, payload }), ERR.ENOSPC)
    assert.equal(await client.errorOf({ command: CMD.READ, offset: 16 * MIB, length: 1 }), ERR.EINVAL)
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(0) }), ERR.EINVAL)
    assert.equal(await client.errorOf({ command: CMD.FLUSH }), 0)
  }))

test('nbd 57: what a device fails with becomes an error number with its text, and the connection goes on', () => {
  const device = errorFilter(memory(), { fails: (call) => call.name !== 'flush', code: 'NO_SPACE' })
  return withServer({ device }, async ({ attach, observed }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), ERR.ENOSPC)
    assert.equal(await client.errorOf({ command: CMD.BLOCK_STATUS, length: 4096 }), ERR.ENOSPC)
    client.send({ command: CMD.READ, length: 512 })
    const chunk = await client.reply()
    assert.ok(chunk.kind === 'chunk' && chunk.type === 0x8001 && chunk.flags === 1)
    assert.match(chunk.data.subarray(6).toString(), /error filter failed this read/)
    assert.equal(await client.errorOf({ command: CMD.FLUSH }), 0)
    const finished = observed.finished.map(({ exportName, command, bytes, errno }) => [
      exportName,
      command,
      bytes,
      errno,
    ])
    assert.deepEqual(finished, [
      ['vol', 'write', 0, ERR.ENOSPC],
      ['vol', 'block-status', 0, ERR.ENOSPC],
      ['vol', 'read', 0, ERR.ENOSPC],
      ['vol', 'flush', 0, 0],
    ])
    assert.ok(observed.finished.every(({ seconds }) => seconds >= 0 && seconds < 10))
  })
})

test('nbd 59: a read-only export refuses changes', () =>
  withServer({ device: new MemoryDevice({ sizeBytes: MIB, readOnly: true }) }, async ({ attach }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), ERR.EPERM)
    assert.equal(await client.errorOf({ command: CMD.TRIM, length: 4096 }), ERR.EPERM)
    assert.equal(await client.errorOf({ command: CMD.WRITE_ZEROES, length: 4096 }), ERR.EPERM)
    assert.equal(await client.errorOf({ command: CMD.FLUSH }), 0)
    assert.deepEqual(await client.readRange(0, 10), Buffer.alloc(10))
  }))

test('nbd 70, 75: FUA and NO_HOLE reach the device', () => {
  const calls: LoggedCall[] = []
  const device = logFilter(memory(), (call) => calls.push(call))
  return withServer({ device }, async ({ attach }) => {
    const client = await attach()
    await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(1), flags: FLAG.FUA })
    await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) })
    await client.errorOf({ command: CMD.TRIM, length: 4096, flags: FLAG.FUA })
    await client.errorOf({ command: CMD.WRITE_ZEROES, length: 4096, flags: FLAG.FUA | FLAG.NO_HOLE | FLAG.FAST_ZERO })
    await client.errorOf({ command: CMD.READ, length: 4096, flags: FLAG.FUA })
    assert.deepEqual(
      calls.map(({ name, fua, noHole }) => [name, fua, noHole]),
      [
        ['write', true, false],
        ['write', false, false],
        ['trim', true, false],
        ['writeZeroes', true, true],
        ['read', false, false],
      ],
    )
  })
})

test('nbd 73, 75: trimmed and zeroed ranges read as zeroes; what NO_HOLE zeroed stays allocated', () =>
  withServer({}, async ({ attach }) => {
    const client = await attach()
    await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(65536, 9) })
    assert.equal(await client.errorOf({ command: CMD.TRIM, offset: 4096, length: 4096 }), 0)
    assert.equal(
      await client.errorOf({ command: CMD.WRITE_ZEROES, offset: 16384, length: 4096, flags: FLAG.NO_HOLE }),
      0,
    )
    const expected = Buffer.alloc(65536, 9).fill(0, 4096, 8192).fill(0, 16384, 20480)
    assert.deepEqual(await client.readRange(0, 65536), expected)
    client.send({ command: CMD.BLOCK_STATUS, length: 65536 })
    const chunk = await client.reply()
    assert.ok(chunk.kind === 'chunk' && chunk.type === 5 && chunk.flags === 1)
    const extents = [1, 4096, 0, 4096, 3, 8192, 0, 4096, 2, 45056, 0].map(u32)
    assert.deepEqual(chunk.data, Buffer.concat(extents))
  }))

test('nbd 74: CACHE is answered', () =>
  withServer({}, async ({ attach }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: CMD.CACHE, length: 4096 }), 0)
    assert.equal(await client.errorOf({ command: CMD.CACHE, offset: 16 * MIB, length: 1 }), ERR.EINVAL)
  }))

test('nbd 76, 81: block status obeys REQ_ONE, never passes the request, and takes huge ranges in slices', () => {
  const slices: number[] = []
  const device = logFilter(new MemoryDevice({ sizeBytes: 8 * 2 ** 30 }), (call) => {
    if (call.name === 'allocation') slices.push(call.length)
  })
  return withServer({ device }, async ({ attach }) => {
    const client = await attach()
    const status = async (offset: number, length: number, flags = 0): Promise<number[]> => {
      client.send({ command: CMD.BLOCK_STATUS, offset, length, flags })
      const chunk = await client.reply()
      assert.ok(chunk.kind === 'chunk' && chunk.type === 5)
      return Array.from({ length: chunk.data.length / 4 - 1 }, (_, index) => chunk.data.readUInt32BE(4 + 4 * index))
    }
    assert.deepEqual(await status(0, 0xffffffff), [0xffffffff, 3])
    assert.ok(Math.max(...slices) <= 256 * MIB)
    await client.errorOf({ command: CMD.WRITE, offset: 4096, payload: Buffer.alloc(4096, 1) })
    assert.deepEqual(await status(1000, 10_000, FLAG.REQ_ONE), [3096, 3])
    assert.deepEqual(await status(5000, 10, FLAG.REQ_ONE), [10, 0])
    assert.deepEqual(await status(5000, 10_000), [3192, 0, 6808, 3])
  })
})

test('nbd 76: a fragmented range gets the beginning of its extents', () =>
  withServer({}, async ({ attach, device }) => {
    for (let at = 0; at < 16 * MIB; at += 8192) await device.write(at, Buffer.of(1))
    const client = await attach()
    client.send({ command: CMD.BLOCK_STATUS, length: 16 * MIB })
    const chunk = await client.reply()
    assert.ok(chunk.kind === 'chunk' && chunk.data.length === 4 + 8 * 2048)
  }))

test('nbd 76: block status without a context is EINVAL, also over simple replies', () =>
  withServer({}, async ({ attach }) => {
    const bare = await attach({ allocation: false })
    assert.equal(await bare.errorOf({ command: CMD.BLOCK_STATUS, length: 4096 }), ERR.EINVAL)
    const simple = await attach({ structured: false })
    assert.equal(await simple.errorOf({ command: CMD.BLOCK_STATUS, length: 4096 }), ERR.EINVAL)
  }))

test('nbd 49, 50: requests are carried out side by side and answered as they end, duplicates of a cookie too', () => {
  const gate = new Gate()
  return withServer({ gate, device: held(memory(), gate, ['write']) }, async ({ attach }) => {
    const client = await attach()
    client.send(
      { command: CMD.WRITE, cookie: 1n, payload: Buffer.of(1) },
      { command: CMD.WRITE, cookie: 2n, offset: 4096, payload: Buffer.of(2) },
      { command: CMD.FLUSH, cookie: 3n },
      { command: CMD.WRITE, cookie: 2n, offset: 8192, payload: Buffer.of(3) },
    )
    assert.equal((await client.reply()).cookie, 3n)
    await eventually('all writes wait', () => gate.waiting.length === 3)
    gate.waiting[1]?.go()
    assert.equal((await client.reply()).cookie, 2n)
    gate.waiting[0]?.go()
    assert.equal((await client.reply()).cookie, 1n)
    gate.waiting[2]?.go()
    assert.equal((await client.reply()).cookie, 2n)
  })
})

test('nbd 50: replies to many requests at once are whole and each belongs to its request', () =>
  withServer({}, async ({ attach, device }) => {
    const blocks = 512
    for (let block = 0; block < blocks; block++) await device.write(block * 4096, Buffer.alloc(4096, block % 251))
    const client = await attach()
    client.send(
      ...Array.from({ length: blocks }, (_, block) => {
        return { command: CMD.READ, cookie: BigInt(block), offset: block * 4096, length: 4096 }
      }),
    )
    const seen = new Set<bigint>()
    for (let count = 0; count < blocks; count++) {
      const chunk = await client.reply()
      assert.ok(chunk.kind === 'chunk' && chunk.type === 1)
      assert.ok(chunk.data.subarray(8).equals(Buffer.alloc(4096, Number(chunk.cookie) % 251)))
      seen.add(chunk.cookie)
    }
    assert.equal(seen.size, blocks)
  }))

test('nbd 101, 102: what one connection was answered another one reads', () =>
  withServer({}, async ({ attach }) => {
    const [one, two] = [await attach(), await attach()]
    for (let round = 1; round < 50; round++) {
      assert.equal(await one.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(8192, round), flags: round & 1 }), 0)
      assert.deepEqual(await two.readRange(0, 8192), Buffer.alloc(8192, round))
    }
  }))

test('nbd 103: overlapping writes of two connections leave one of them in every block', () =>
  withServer({}, async ({ attach }) => {
    const [one, two] = [await attach(), await attach()]
    for (let round = 0; round < 30; round++) {
      const [first, second] = [Buffer.alloc(65536, 1), Buffer.alloc(65536, 2)]
      await Promise.all([
        one.errorOf({ command: CMD.WRITE, offset: 0, payload: first }),
        two.errorOf({ command: CMD.WRITE, offset: 32768, payload: second }),
      ])
      const found = await one.readRange(0, 98304)
      for (let at = 0; at < 98304; at += 4096) {
        assert.ok(new Set(found.subarray(at, at + 4096)).size === 1, `block at ${at}`)
      }
    }
  }))

test('nbd 12: an export is opened by the first client that chooses it, shared, and closed after the last', async () => {
  const events: string[] = []
  const exports = {
    list: async () => [{ name: 'vol' }, { name: 'broken' }],
    describe: async (name: string) => {
      if (name === 'nope') return undefined
      return { name, sizeBytes: 16 * MIB, blockSizeBytes: 4096, readOnly: false, fastZero: true }
    },
    open: async (name: string): Promise<BlockDevice> => {
      events.push(`open ${name}`)
      if (name === 'broken') throw new TypeError('no such luck')
      return logFilter(memory(), (call) => events.push(call.name))
    },
  }
  await withServer({ exports }, async ({ attach, connect, server }) => {
    const looker = await connect()
    await looker.read(18)
    looker.write(u32(3))
    await looker.ask(OPT.LIST)
    assert.equal((await looker.ask(OPT.INFO, infoData('vol'))).at(-1)?.type, REP.ACK)
    assert.equal((await looker.ask(OPT.INFO, infoData('nope'))).at(-1)?.type, REP.ERR_UNKNOWN)
    assert.deepEqual(events, [])
    const refused = (await looker.ask(OPT.GO, infoData('broken'))).at(-1)
    assert.equal(refused?.type, REP.ERR_POLICY)
    assert.match(refused?.data.toString() ?? '', /cannot be opened/)
    assert.deepEqual(events, ['open broken'])
    const [one, two] = [await attach(), await attach()]
    assert.deepEqual(events, ['open broken', 'open vol'])
    one.send({ command: CMD.DISC })
    await one.closed()
    assert.equal(await two.errorOf({ command: CMD.FLUSH }), 0)
    two.send({ command: CMD.DISC })
    await two.closed()
    looker.destroy()
    await eventually('all connections are gone', () => server.connections === 0)
    assert.deepEqual(events, ['open broken', 'open vol', 'flush', 'close'])
    const again = await attach()
    assert.deepEqual(events.at(-1), 'open vol')
    again.destroy()
  })
})

test('nbd 15: the empty name is the only export, and unknown where there are several', async () => {
  await withServer({}, async ({ attach }) => {
    assert.equal(await (await attach({ name: '' })).errorOf({ command: CMD.FLUSH }), 0)
  })
  const exports = deviceExports([
    { name: 'one', device: memory() },
    { name: 'two', device: memory() },
  ])
  await withServer({ exports }, async ({ connect }) => {
    const client = await connect()
    await client.read(18)
    client.write(u32(3))
    assert.equal((await client.ask(OPT.GO, infoData('')))[0]?.type, REP.ERR_UNKNOWN)
    assert.equal((await client.ask(OPT.GO, infoData('two'))).at(-1)?.type, REP.ACK)
  })
})
