import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect } from '@ashlar/client'
import { pino } from 'pino'
import { FakeCluster } from '../kit/fake-cluster.ts'
import { pattern } from '../kit/wait-for.ts'

/** A process that has not ended by then hangs on something that was left. */
const DEADLINE_MS = 30_000

/**
 * Runs a program in a process of its own, with `cluster`, `connect` and `AshlarError` at hand, and resolves to what it printed.
 * Nothing ends it but itself: a timer, a socket or a listener that is left keeps it until the deadline, which fails the test.
 */
async function ends(program: string): Promise<string> {
  const before = `
    import { AshlarError, connect } from '@ashlar/client'
    import { FakeCluster } from '${new URL('../kit/fake-cluster.ts', import.meta.url).href}'
    const process_ = { events: String(process.eventNames()), globals: String(Object.getOwnPropertyNames(globalThis)) }
    const cluster = await FakeCluster.start(3)
    cluster.create('demo', 16 * 1024 * 1024)
  `
  const after = `
    await cluster[Symbol.asyncDispose]()
    if (process_.events !== String(process.eventNames())) throw new Error('listeners of the process were left')
    if (process_.globals !== String(Object.getOwnPropertyNames(globalThis))) throw new Error('globals were left')
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout' || name === 'Immediate')
    if (timers.length > 0) throw new Error('left: ' + timers.join(', '))
  `
  const args = ['--conditions=ashlar-source', '--input-type=module-typescript', '--eval', before + program + after]
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const options = { cwd, timeout: DEADLINE_MS }
  const { stdout } = await promisify(execFile)(process.execPath, args, options)
  return stdout.trim()
}

describe('a process ends by itself', () => {
  test('when its client is closed: with calls that wait, a status that is read, streams that are open', async () => {
    const said = await ends(`
      const client = await connect({ servers: cluster.servers, ioTimeoutMs: 3000 })
      const volume = await client.openVolume('demo')
      for (const node of cluster.nodes) for (const kind of ['write', 'read', 'cancel']) node.failAlways(kind, { do: 'ignore' })
      const stop = new AbortController()
      const calls = [
        volume.write(0, new Uint8Array(4096), { signal: stop.signal }),
        volume.write(0, new Uint8Array(4096), { signal: AbortSignal.timeout(100_000) }),
        volume.read(0, 4096),
        volume.flush(),
        client.openVolume('nowhere', { mode: 'read-only' }),
      ]
      const writer = volume.writable({ start: 8192 }).getWriter()
      const writing = writer.write(new Uint8Array(5_000_000))
      const reading = volume.readable().getReader().read()
      const events = (async () => { for await (const event of client.status()) void event })()
      const outcomes = Promise.allSettled([...calls, writing, reading])
      stop.abort()
      // Closing waits for the calls, and those for a cluster that is gone: until their time is up.
      for (const node of cluster.nodes) await node.stop()
      const closing = client.close()
      await closing
      await events
      console.log((await outcomes).map(({ status, reason }) => reason?.code ?? status).join())
    `)
    // The flush is fulfilled: no write made before it is left, since every one of them failed.
    assert.equal(said, 'ABORTED,TIMEOUT,TIMEOUT,fulfilled,NOT_FOUND,TIMEOUT,TIMEOUT')
  })

  test('when no server can be reached, when connecting is aborted, and when it takes too long', async () => {
    const said = await ends(`
      const codes = []
      const note = (error) => void codes.push(error.code)
      await connect({ servers: ['127.0.0.1:1'] }).catch(note)
      await connect({ servers: cluster.servers, signal: AbortSignal.abort() }).catch(note)
      for (const node of cluster.nodes) node.failAlways('get-map', { do: 'ignore' })
      await connect({ servers: cluster.servers, ioTimeoutMs: 100 }).catch(note)
      const stop = new AbortController()
      setTimeout(() => stop.abort(), 50)
      await connect({ servers: cluster.servers, signal: stop.signal }).catch(note)
      console.log(codes.join())
    `)
    assert.equal(said, 'NO_CONTROL,ABORTED,TIMEOUT,ABORTED')
  })

  test('after failovers, lost connections and a fenced volume', async () => {
    const said = await ends(`
      await using first = await connect({ servers: cluster.servers })
      await using second = await connect({ servers: cluster.servers })
      const volume = await first.openVolume('demo')
      cluster.node(0).disconnectAll()
      await volume.write(0, new Uint8Array(4096).fill(1))
      cluster.move('demo', 0, cluster.node(1), true)
      await volume.write(0, new Uint8Array(4096).fill(2))
      const taken = await second.openVolume('demo')
      const error = await volume.read(0, 1).catch((reason) => reason)
      console.log(error instanceof AshlarError, error.code, (await taken.read(0, 1))[0])
      await first.close()
      await second.close()
    `)
    assert.equal(said, 'true FENCED 2')
  })
})

test('a pino logger gets connections and a lost volume, as objects with a short text', async () => {
  await using cluster = await FakeCluster.start(1)
  cluster.create('demo', 16 * 1024 * 1024)
  const lines: string[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })
  await using client = await connect({ servers: cluster.servers, logger })
  const volume = await client.openVolume('demo')
  cluster.attach('demo', true)
  await assert.rejects(volume.write(0, pattern(10)), { code: 'FENCED' })
  const told = lines.map(
    (line) => JSON.parse(line) as { msg: string; level: number; volume?: string; address?: string },
  )
  assert.equal(told.find(({ msg }) => msg === 'connected')?.address, cluster.node(0).address)
  const fenced = told.find(({ msg }) => msg === 'fenced')
  assert.deepEqual([fenced?.volume, fenced?.level], ['demo', 40])
  assert.ok(told.every((line) => !JSON.stringify(line).includes('"bytes"')))
})
