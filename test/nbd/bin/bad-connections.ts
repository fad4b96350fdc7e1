/**
 * Connects to an NBD server as badly as clients can: `npm run fuzz:nbd:connections -- --connections N [--seed S]`. Each
 * connection stops at a stage of its own, sends noise, and is reset, ended or left. The server runs in this process;
 * prints a line for every so many connections, and ends with 1 when memory or handles grow, or when a good client is
 * not served.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { Random } from '../../../packages/client/test/nbd/support/random.ts'
import { RawClient } from '../../../packages/client/test/nbd/support/raw-client.ts'
import { eventually } from '../../../packages/client/test/nbd/support/test-server.ts'
import { CMD, clientFlags, infoData, OPT, option } from '../../../packages/client/test/nbd/support/wire.ts'

/** Connections after which memory and handles are looked at. */
const PIECE = 10_000
/** Connections that are in flight at once. */
const WAVE = 80
const GROWTH_BYTES = 16 * MIB

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
})
const [connections, seed] = [Number(values.connections), Number(values.seed)]
if (!Number.isSafeInteger(connections) || connections <= 0 || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run fuzz:nbd:connections -- --connections N [--seed S]: N is how many, above 0\n')
  process.exit(2)
}

const device = new MemoryDevice({ sizeBytes: MIB })
const closed = new Map<string, number>()
const server = await serveNbd(deviceExports([{ name: 'vol', device }]), {
  listen: '127.0.0.1:0',
  observer: {
    connectionClosed: (reason) => void closed.set(reason, (closed.get(reason) ?? 0) + 1),
    connectionRefused: (limit) => void closed.set(limit, (closed.get(limit) ?? 0) + 1),
  },
})
const { port } = server.addresses[0] as { port: number }
const random = new Random(seed)

/** What a client says before it turns bad: nothing, its flags, an option, or all that opens the export. */
const STAGES: readonly (() => readonly Uint8Array[])[] = [
  () => [],
  () => [clientFlags()],
  () => [clientFlags(), option(random.below(12), random.bytes(random.below(50)))],
  () => [clientFlags(), option(OPT.STRUCTURED_REPLY), option(OPT.GO, infoData('vol'))],
]

/** Resolves when the connection is over on the client's side. */
function connectBadly(): Promise<void> {
  const stage = random.pick(STAGES)()
  const noise = random.bytes(random.below(200))
  const end = random.below(3)
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.once('close', () => resolve())
    socket.resume()
    socket.once('connect', () => {
      socket.write(Buffer.concat([...stage, noise]))
      if (end === 0) socket.resetAndDestroy()
      else if (end === 1) socket.end()
      // The server answered or refused something: then this side closes without a message.
      else socket.once('data', () => socket.destroy())
    })
  })
}

/** A client that does everything right is served as before. */
async function serveGoodClient(): Promise<void> {
  await eventually('every connection is closed', () => server.connections === 0, 30_000)
  const good = await RawClient.attach(server.addresses[0])
  assert.equal(await good.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(4096, 1) }), 0)
  good.destroy()
}

/** Bytes that are in use after everything that is not was collected, and open handles. */
async function inUse(): Promise<{ readonly heap: number; readonly handles: number }> {
  await eventually('every connection is closed', () => server.connections === 0, 30_000)
  for (let round = 0; round < 2; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed + arrayBuffers, handles: readdirSync('/proc/self/fd').length }
}

let base: { readonly heap: number; readonly handles: number } | undefined
for (let done = 0; done < connections; ) {
  const began = performance.now()
  const until = Math.min(connections, done + PIECE)
  const count = until - done
  for (; done < until; done += WAVE) {
    await Promise.all(Array.from({ length: Math.min(WAVE, until - done) }, connectBadly))
  }
  done = until
  await serveGoodClient()
  const now = await inUse()
  const rate = Math.round((count * 1000) / (performance.now() - began))
  const heapMib = (now.heap / MIB).toFixed(1)
  process.stdout.write(
    `${done} bad connections (seed ${seed}), ${rate} a second: ${heapMib} MiB, ${now.handles} handles\n`,
  )
  // The first piece warms up: what is in use after it has to suffice for the rest of the run.
  base ??= now
  if (now.heap > base.heap + GROWTH_BYTES) throw new Error(`memory grew from ${base.heap} to ${now.heap} bytes`)
  if (now.handles > base.handles) throw new Error(`handles grew from ${base.handles} to ${now.handles}`)
}
await server.close()
process.stdout.write(`${[...closed].map(([reason, count]) => `${reason} ${count}`).join(', ')}\n`)
