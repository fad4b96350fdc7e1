import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AshlarError, type Client, connect } from '@ashlar/client'
import { clientExports, VolumeDevice } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { splitZeroes } from '../../../src/nbd/device/zeroes.ts'
import { FakeCluster } from '../../kit/fake-cluster.ts'
import { deviceConformance, readBytes } from '../device-conformance.ts'
import { Random, seedOf } from '../support/random.ts'
import { eventually, withServer } from '../support/test-server.ts'
import { CMD } from '../support/wire.ts'

describe('volumes of a cluster behind NBD', () => {
  let cluster: FakeCluster
  let client: Client
  let volumes = 0

  before(async () => {
    cluster = await FakeCluster.start()
    client = await connect({ servers: cluster.servers, ioTimeoutMs: 20_000 })
  })
  after(async () => {
    await client.close()
    await cluster[Symbol.asyncDispose]()
  })

  deviceConformance('a volume', async ({ sizeBytes, readOnly }) => {
    const name = `suite-${++volumes}`
    cluster.create(name, sizeBytes)
    return new VolumeDevice(await client.openVolume(name, readOnly === true ? { mode: 'read-only' } : {}))
  })

  test('blocks that were trimmed or never written are holes, blocks zeroed with noHole are not', async () => {
    cluster.create('holes', MIB)
    const device = new VolumeDevice(await client.openVolume('holes'))
    await device.write(4096, Buffer.alloc(12_288, 1))
    await device.trim(4096, 4096)
    await device.writeZeroes(8192, 4096, { noHole: true })
    assert.deepEqual(await device.allocation(0, 65_536), [
      { length: 4096, hole: true, zero: true },
      { length: 4096, hole: true, zero: true },
      { length: 4096, hole: false, zero: true },
      { length: 4096, hole: false, zero: false },
      { length: 49_152, hole: true, zero: true },
    ])
    assert.deepEqual(
      (await device.read(0, 20_480)).map((part) => (part instanceof Uint8Array ? part.length : -part.zeroBytes)),
      [-12_288, 4096, -4096],
    )
    await device.close()
  })

  test('its calls keep no stack of the caller; those of the volume that it was made of do', async () => {
    cluster.create('stacks', MIB)
    const volume = await client.openVolume('stacks')
    const device = new VolumeDevice(volume)
    // Errors of calls that fail in a later turn have the caller on their stack only if it was kept.
    for (const kind of ['read', 'write', 'zero'] as const) {
      for (const node of cluster.nodes) node.failAlways(kind, { do: 'ignore' })
    }
    const seesCaller = (call: Promise<unknown>): Promise<boolean> =>
      call.then(
        () => assert.fail('a call that nobody answers must fail'),
        (error: AshlarError) => /volume-device\.test\.ts/.test(error.stack ?? ''),
      )
    const calls = (target: VolumeDevice | typeof volume) => {
      const signal = AbortSignal.timeout(20)
      return [
        seesCaller(target.read(0, 4096, { signal })),
        seesCaller(target.write(4096, Buffer.alloc(4096), { signal })),
        seesCaller(target.trim(8192, 4096, { signal })),
      ]
    }
    assert.deepEqual(await Promise.all(calls(volume)), [true, true, true])
    assert.deepEqual(await Promise.all(calls(device)), [false, false, false])
    for (const kind of ['read', 'write', 'zero'] as const) {
      for (const node of cluster.nodes) node.failAlways(kind, undefined)
    }
    await device.close()
  })

  test('a client of NBD writes to the cluster, and is cut off when another client takes the volume', async () => {
    cluster.create('vol', 16 * MIB)
    await withServer({ exports: clientExports(client) }, async ({ attach, observed }) => {
      const one = await attach()
      assert.equal(await one.errorOf({ command: CMD.WRITE, offset: 100, payload: Buffer.from('from NBD') }), 0)
      const other = await connect({ servers: cluster.servers })
      const volume = await other.openVolume('vol')
      assert.equal(Buffer.from(await volume.read(100, 8)).toString(), 'from NBD')
      await one.closed()
      assert.deepEqual(observed.lost, ['vol'])
      await eventually('it is counted', () => observed.closed.includes('export-lost'))
      await volume.write(100, Buffer.from('from API'))
      await other.close()
    })
  })

  test('a volume without an allocation query counts as data', async () => {
    cluster.create('plain', MIB)
    const volume = await client.openVolume('plain')
    const bare = new VolumeDevice({
      name: volume.name,
      sizeBytes: volume.sizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      read: (offset, length) => volume.read(offset, length),
      write: (offset, bytes) => volume.write(offset, bytes),
      flush: () => volume.flush(),
      trim: (offset, length) => volume.trim(offset, length),
      writeZeroes: (offset, length) => volume.writeZeroes(offset, length),
      close: () => volume.close(),
    })
    assert.deepEqual(await bare.allocation(5, 100), [{ length: 100, hole: false, zero: false }])
    assert.deepEqual(await readBytes(bare, 0, 10), Buffer.alloc(10))
    await bare.close()
    await assert.rejects(bare.flush(), (error: AshlarError) => error.code === 'CLOSED')
  })
})

const SEED = seedOf(99)
test(`bytes are cut into data and zeroes without changing them, at multiples of 4 KiB (seed ${SEED})`, () => {
  const random = new Random(SEED)
  for (let round = 0; round < 300; round++) {
    const offset = random.below(20_000)
    const bytes = Buffer.alloc(1 + random.below(40_000))
    for (let count = random.below(6); count > 0; count--) bytes[random.below(bytes.length)] = 1
    const parts = splitZeroes(bytes, offset)
    let at = 0
    for (const part of parts) {
      const length = part instanceof Uint8Array ? part.length : part.zeroBytes
      const found = part instanceof Uint8Array ? part : Buffer.alloc(length)
      assert.ok(bytes.subarray(at, at + length).equals(found), `round ${round}`)
      if (at > 0) assert.equal((offset + at) % 4096, 0)
      at += length
    }
    assert.equal(at, bytes.length)
    const kinds = parts.map((part) => part instanceof Uint8Array)
    assert.ok(kinds.every((kind, index) => index === 0 || kind !== kinds[index - 1]))
  }
})
