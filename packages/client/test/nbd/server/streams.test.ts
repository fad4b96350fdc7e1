import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { type ByteStream, deviceExports, MemoryDevice, serveNbd, serveNbdStream } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { RawClient } from '../support/raw-client.ts'
import { eventually, Gate, held } from '../support/test-server.ts'
import { CMD } from '../support/wire.ts'

const exports = deviceExports([{ name: 'vol', device: new MemoryDevice({ sizeBytes: MIB }) }])

/** Two ends of one connection: the server's, and an address for the client to connect to. */
async function connected(): Promise<{ client: RawClient; stream: ByteStream }> {
  const listener = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as { port: number }
  const accepted = new Promise<ByteStream>((resolve) => listener.once('connection', resolve))
  const client = await RawClient.connect({ type: 'tcp', host: '127.0.0.1', port, uri: '' })
  const stream = await accepted
  listener.close()
  return { client, stream }
}

test('one client is served over a stream, and the end of it says why', async () => {
  const { client, stream } = await connected()
  const over = serveNbdStream(exports, stream)
  await client.attachNow()
  assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.of(7) }), 0)
  assert.equal((await client.readRange(0, 1))[0], 7)
  client.send({ command: CMD.DISC })
  await client.closed()
  client.destroy()
  assert.equal(await over, 'client-left')
})

test('a stream is aborted by the signal', async () => {
  const { client, stream } = await connected()
  const abort = new AbortController()
  const over = serveNbdStream(exports, stream, { signal: abort.signal })
  await client.attachNow()
  abort.abort()
  await client.closed()
  client.destroy()
  assert.equal(await over, 'server-closed')
  const late = await connected()
  assert.equal(await serveNbdStream(exports, late.stream, { signal: AbortSignal.abort() }), 'server-closed')
  late.client.destroy()
})

test('a stream whose device hangs is aborted too', async () => {
  const { client, stream } = await connected()
  const gate = new Gate()
  const device = held(new MemoryDevice({ sizeBytes: MIB }), gate, ['write'])
  const abort = new AbortController()
  const limits = { closeMs: 50 }
  const over = serveNbdStream(deviceExports([{ name: 'vol', device }]), stream, { signal: abort.signal, limits })
  await client.attachNow()
  client.send({ command: CMD.WRITE, payload: Buffer.of(1) })
  await eventually('the write is at the device', () => gate.waiting.length === 1)
  abort.abort()
  assert.equal(await over, 'server-closed')
  gate.open()
  client.destroy()
})

test('a descriptor that is no listening socket is refused with what to pass', async () => {
  const descriptor = openSync('/dev/null', 'r')
  await assert.rejects(serveNbd(exports, { listen: [], descriptors: [descriptor] }), {
    code: 'USAGE',
    message: `file descriptor ${descriptor} is not a socket that listens`,
  })
})
