import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type BlockDevice,
  clientExports,
  deviceExports,
  errorFilter,
  MemoryDevice,
  type NbdServer,
  serveNbd,
  type VolumeSource,
} from '@ashlar/client/nbd'
import { AshlarError, MIB } from '@ashlar/proto'
import { readBytes } from '../device-conformance.ts'
import { RawClient } from '../support/raw-client.ts'
import { eventually, Gate, held, withServer } from '../support/test-server.ts'
import { CMD, ERR, infoData, OPT, REP, u32 } from '../support/wire.ts'

function memory(): MemoryDevice {
  return new MemoryDevice({ sizeBytes: 16 * MIB })
}

function serveMemory(listen: string | readonly string[]): Promise<NbdServer> {
  return serveNbd(deviceExports([{ name: 'vol', device: memory() }]), { listen })
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-nbd-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function failsWith(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof AshlarError && error.code === code && text.test(error.message) && error.hint !== undefined
}

test('a server listens on TCP and unix sockets at once, and says where', () =>
  withDirectory(async (directory) => {
    const path = join(directory, 'nbd.sock')
    await using server = await serveMemory(['127.0.0.1:0', `unix:${path}`, '[::1]:0'].slice(0, 2))
    const [tcp, unix] = server.addresses
    assert.match(tcp?.uri ?? '', /^nbd:\/\/127\.0\.0\.1:\d+$/)
    assert.equal(unix?.uri, `nbd+unix:///?socket=${path}`)
    for (const address of server.addresses) {
      const client = await RawClient.attach(address)
      assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), 0)
      client.destroy()
    }
    await server.close()
    await assert.rejects(stat(path), 'the socket file is gone')
  }))

test('the file of a dead unix socket is replaced; that of a living server, and any other file, is not', () =>
  withDirectory(async (directory) => {
    const path = join(directory, 'nbd.sock')
    const first = await serveMemory(`unix:${path}`)
    await assert.rejects(serveMemory(`unix:${path}`), failsWith('CONFLICT', /nbd\.sock is in use/))
    const client = await RawClient.attach(first.addresses[0])
    assert.equal(await client.errorOf({ command: CMD.FLUSH }), 0)
    client.destroy()
    await first.close()
    await leaveStaleSocket(path)
    await using second = await serveMemory(`unix:${path}`)
    ;(await RawClient.attach(second.addresses[0])).destroy()
    const file = join(directory, 'notes.txt')
    await writeFile(file, 'precious')
    await assert.rejects(serveMemory(`unix:${file}`), failsWith('CONFLICT', /in use/))
    assert.equal((await stat(file)).size, 8)
  }))

/** A socket file without a listener, as a killed server leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const aside = `${path}.aside`
  const { rename } = await import('node:fs/promises')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  await rename(path, aside)
  await new Promise((resolve) => server.close(resolve))
  await rename(aside, path)
}

test('addresses that cannot be used are refused with what to do', async () => {
  await using server = await serveMemory('127.0.0.1:0')
  const bound = server.addresses[0]
  assert.ok(bound?.type === 'tcp')
  await assert.rejects(serveMemory(`127.0.0.1:${bound.port}`), failsWith('CONFLICT', /is in use/))
  for (const wrong of ['', '127.0.0.1', 'unix:', '127.0.0.1:99999', 'a:b:c', '[127.0.0.1]:1', '127.0.0.1:1x']) {
    await assert.rejects(serveMemory(wrong), failsWith('USAGE', /address/), wrong)
  }
  await assert.rejects(serveMemory([]), failsWith('USAGE', /no address/))
  await assert.rejects(serveMemory('unix:/no/such/directory/nbd.sock'), failsWith('USAGE', /cannot listen/))
  for (const open of ['0.0.0.0:0', '[::]:0', '192.0.2.1:10809', 'example.test:1']) {
    await assert.rejects(serveMemory(open), failsWith('USAGE', /plain text/), open)
  }
})

test('nbd 72: after NBD_CMD_DISC requests in flight land and are answered, and what follows is ignored', () => {
  const gate = new Gate()
  const device = memory()
  return withServer({ gate, device: held(device, gate, ['write']) }, async ({ attach, observed }) => {
    const client = await attach()
    client.send(
      { command: CMD.WRITE, cookie: 1n, payload: Buffer.of(1) },
      { command: CMD.WRITE, cookie: 2n, payload: Buffer.of(2) },
      { command: CMD.DISC, offset: 5, length: 5 },
      { command: CMD.WRITE, cookie: 3n, payload: Buffer.of(3) },
    )
    await eventually('the first write is at the device', () => gate.waiting.length === 1)
    gate.open()
    assert.equal((await client.reply()).cookie, 1n)
    assert.equal((await client.reply()).cookie, 2n)
    assert.equal((await client.closed()).length, 0)
    assert.deepEqual(await readBytes(device, 0, 1), Buffer.of(2))
    client.destroy()
    await eventually('it is counted', () => observed.closed.length === 1)
    assert.deepEqual(observed.closed, ['client-left'])
  })
})

test('nbd 14, 114: a client that vanishes in the middle of anything leaves nothing behind', () =>
  withServer({}, async ({ connect, attach, server, observed }) => {
    const greeted = await connect()
    await greeted.read(18)
    greeted.socket.resetAndDestroy()
    const half = await attach()
    half.send({ command: CMD.WRITE, length: 65536 })
    half.socket.end()
    const reading = await attach()
    reading.send({ command: CMD.READ, length: 8 * MIB })
    reading.socket.resetAndDestroy()
    await eventually('all are gone', () => server.connections === 0)
    assert.deepEqual(observed.closed, ['client-vanished', 'client-vanished', 'client-vanished'])
  }))

test('nbd 16: NBD_OPT_ABORT is acknowledged before the connection ends', () =>
  withServer({}, async ({ connect }) => {
    const client = await connect()
    await client.read(18)
    client.write(u32(3))
    assert.equal((await client.ask(OPT.ABORT))[0]?.type, REP.ACK)
    await client.closed()
  }))

test('nbd 80: closing the server answers what is in flight, refuses what comes, then closes the device', async () => {
  const gate = new Gate()
  const device = memory()
  const closed: string[] = []
  const gated = held(device, gate, ['write'])
  const exports = {
    ...deviceExports([{ name: 'vol', device: gated }]),
    open: async (): Promise<BlockDevice> => ({ ...gated, close: async () => void closed.push('device') }),
  }
  const server = await serveNbd(exports, { listen: '127.0.0.1:0' })
  const client = await RawClient.attach(server.addresses[0])
  const idle = await RawClient.attach(server.addresses[0])
  client.send({ command: CMD.WRITE, cookie: 1n, payload: Buffer.of(1) })
  await eventually('the write is at the device', () => gate.waiting.length === 1)
  const closing = server.close().then(() => closed.push('server'))
  await idle.closed()
  client.send({ command: CMD.WRITE, cookie: 2n, offset: 4096, payload: Buffer.of(2) })
  assert.deepEqual(await client.reply(), { kind: 'simple', cookie: 2n, error: ERR.ESHUTDOWN, data: Buffer.alloc(0) })
  await assert.rejects(RawClient.connect(server.addresses[0]))
  assert.deepEqual(closed, [])
  gate.open()
  assert.deepEqual(await client.reply(), { kind: 'simple', cookie: 1n, error: 0, data: Buffer.alloc(0) })
  await client.closed()
  await closing
  assert.deepEqual(closed, ['device', 'server'])
  assert.deepEqual(await readBytes(device, 0, 1), Buffer.of(1))
})

test('closing the server does not exceed its timeout, for clients or for a device that hangs', async () => {
  const gate = new Gate()
  const device = held(memory(), gate, ['read'])
  const server = await serveNbd(deviceExports([{ name: 'vol', device }]), {
    listen: '127.0.0.1:0',
    limits: { closeMs: 100 },
  })
  const client = await RawClient.attach(server.addresses[0])
  client.send({ command: CMD.READ, length: 512 })
  await eventually('the read is at the device', () => gate.waiting.length === 1)
  const begun = performance.now()
  await server.close()
  await client.closed()
  const tookMs = performance.now() - begun
  assert.ok(tookMs >= 99 && tookMs < 5000, `${tookMs} ms`)
  gate.open()
})

test('the loss of a fenced device is reported once; its connections end, and it is not opened again', () => {
  const device = errorFilter(memory(), { fails: (call) => call.offset === 4096, code: 'FENCED' })
  return withServer({ device }, async ({ attach, connect, observed }) => {
    const [one, two] = [await attach(), await attach()]
    assert.equal(await one.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), 0)
    assert.equal(await one.errorOf({ command: CMD.WRITE, offset: 4096, payload: Buffer.of(1) }), ERR.EIO)
    await one.closed()
    await two.closed()
    assert.deepEqual(observed.lost, ['vol'])
    const late = await connect()
    await late.read(18)
    late.write(u32(3))
    const reply = (await late.ask(OPT.GO, infoData('vol'))).at(-1)
    assert.equal(reply?.type, REP.ERR_POLICY)
    assert.match(reply?.data.toString() ?? '', /FENCED|fail/)
  })
})

test('nbd 57: device calls are given up after the time that the server was told', () => {
  const device = held(memory(), new Gate(), [])
  const stuck: BlockDevice = {
    ...device,
    read: (_offset, _length, options) =>
      new Promise((_resolve, reject) =>
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)),
      ),
  }
  return withServer({ device: stuck, ioTimeoutMs: 100 }, async ({ attach }) => {
    const client = await attach()
    const begun = performance.now()
    assert.equal(await client.errorOf({ command: CMD.READ, length: 512 }), ERR.EIO)
    assert.ok(performance.now() - begun >= 99)
    assert.equal(await client.errorOf({ command: CMD.FLUSH }), 0)
  })
})

/** A cluster's client as far as exports need one. */
class FakeClient {
  readonly opened: string[] = []
  readonly #events: { what: string; volume?: string }[] = []
  #wake: (() => void) | undefined

  readonly admin = {
    list: async () => [{ name: 'vol', sizeBytes: 16 * MIB, blockSizeBytes: 4096 }],
    describe: async (name: string) => {
      if (name !== 'vol') throw new AshlarError('NOT_FOUND', `there is no volume ${name}`)
      return { name, sizeBytes: 16 * MIB, blockSizeBytes: 4096 }
    },
  }

  async openVolume(name: string, { mode }: { mode: string }): Promise<VolumeSource> {
    this.opened.push(`${mode} ${name}`)
    const device = memory()
    return {
      name,
      sizeBytes: device.sizeBytes,
      blockSizeBytes: 4096,
      readOnly: mode === 'read-only',
      read: (offset, length) => readBytes(device, offset, length),
      write: (offset, bytes) => device.write(offset, bytes),
      flush: () => device.flush(),
      trim: (offset, length) => device.trim(offset, length),
      writeZeroes: (offset, length) => device.writeZeroes(offset, length),
      close: async () => void this.opened.push(`close ${name}`),
    }
  }

  async *status(): AsyncGenerator<{ what: string; volume?: string }> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) yield event
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }

  publish(event: { what: string; volume?: string }): void {
    this.#events.push(event)
    this.#wake?.()
  }
}

test('volumes of a cluster are attached for as long as clients use them', async () => {
  const client = new FakeClient()
  await withServer({ exports: clientExports(client) }, async ({ attach, connect, server }) => {
    const lister = await connect()
    await lister.read(18)
    lister.write(u32(3))
    assert.deepEqual((await lister.ask(OPT.LIST)).length, 2)
    assert.equal((await lister.ask(OPT.GO, infoData('other')))[0]?.type, REP.ERR_UNKNOWN)
    assert.deepEqual(client.opened, [])
    const one = await attach()
    assert.equal(await one.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), 0)
    assert.deepEqual(client.opened, ['exclusive vol'])
    one.destroy()
    lister.destroy()
    await eventually('it has left', () => server.connections === 0)
    assert.deepEqual(client.opened, ['exclusive vol', 'close vol'])
  })
})

test('only the chosen volumes are exports, read-only where requested', async () => {
  const client = new FakeClient()
  const exports = clientExports(client, { volumes: ['vol', 'gone'], readOnly: true })
  assert.deepEqual(await exports.list(), [{ name: 'vol' }])
  assert.equal(await exports.describe('gone'), undefined)
  await withServer({ exports }, async ({ attach }) => {
    const one = await attach()
    assert.equal(await one.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), ERR.EPERM)
    assert.deepEqual(client.opened, ['read-only vol'])
  })
  const none = clientExports(client, { volumes: [] })
  assert.equal(await none.describe('vol'), undefined)
  await assert.rejects(none.open('vol'), (error) => error instanceof AshlarError && error.code === 'NOT_FOUND')
})

test('a volume that another client attached ends its connections at once, without a request', async () => {
  const client = new FakeClient()
  await withServer({ exports: clientExports(client) }, async ({ attach, observed }) => {
    const one = await attach()
    client.publish({ what: 'fenced', volume: 'another' })
    client.publish({ what: 'fenced', volume: 'vol' })
    await one.closed()
    assert.deepEqual(observed.lost, ['vol'])
    await eventually('it is counted', () => observed.closed.length === 1)
    assert.deepEqual(observed.closed, ['export-lost'])
  })
})

test('events of a detached volume are ignored, and it can be opened again', async () => {
  const client = new FakeClient()
  await withServer({ exports: clientExports(client) }, async ({ attach, observed, server }) => {
    const one = await attach()
    one.send({ command: CMD.DISC })
    await one.closed()
    one.destroy()
    await eventually('it has left', () => server.connections === 0)
    client.publish({ what: 'fenced', volume: 'vol' })
    const two = await attach()
    assert.equal(await two.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), 0)
    assert.deepEqual(observed.lost, [])
  })
})
