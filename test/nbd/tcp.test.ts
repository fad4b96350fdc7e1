import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'

/** A server of its own process that takes one connection and ends. */
const SERVER = `
import { connect } from 'node:net'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
const device = new MemoryDevice({ sizeBytes: 1 << 20 })
const server = await serveNbd(deviceExports([{ name: 'vol', device }]), { listen: '127.0.0.1:0' })
const socket = connect(server.addresses[0].port, '127.0.0.1')
await new Promise((resolve) => socket.once('data', resolve))
socket.destroy()
await server.close()
`

test('nbd 13: TCP_NODELAY is set on every connection before the greeting goes out', async (t) => {
  if (!requireTool(t, 'strace')) return
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-tcp-'))
  try {
    const node = [process.execPath, '--conditions=ashlar-source', '--input-type=module', '-e', SERVER]
    const calls = ['-ff', '-o', join(directory, 'thread'), '-e', 'trace=accept4,setsockopt,write,writev']
    const traced = await run('strace', [...calls, ...node])
    assert.equal(traced.code, 0, traced.stderr)
    const threads = await Promise.all((await readdir(directory)).map((file) => readFile(join(directory, file), 'utf8')))
    const text = threads.find((calls) => calls.includes('accept4(')) ?? ''
    const accepted = /accept4\(.*= (\d+)$/m.exec(text)
    assert.ok(accepted?.[1] !== undefined, 'a connection was accepted')
    const noDelay = text.search(new RegExp(`setsockopt\\(${accepted[1]}, SOL_TCP, TCP_NODELAY, \\[1\\], 4\\)\\s+= 0`))
    const greeting = text.search(new RegExp(`write\\(${accepted[1]}, "NBDMAGIC`))
    assert.ok(noDelay > accepted.index && greeting > noDelay, `TCP_NODELAY at ${noDelay}, greeting at ${greeting}`)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
