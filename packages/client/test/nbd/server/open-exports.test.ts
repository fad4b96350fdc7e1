import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExportProvider, MemoryDevice } from '@ashlar/client/nbd'
import { AshlarError, MIB } from '@ashlar/proto'
import { OpenExports } from '../../../src/nbd/server/open-exports.ts'
import { Gate, held, withServer } from '../support/test-server.ts'
import { CMD, clientFlags, ERR, infoData, OPT, REP } from '../support/wire.ts'

/** A device that closes as the test says. */
class ClosingDevice extends MemoryDevice {
  readonly #closing: Promise<void>

  constructor(closing: Promise<void>) {
    super({ sizeBytes: MIB })
    this.#closing = closing
  }

  override close(): Promise<void> {
    return this.#closing
  }
}

/** A provider of one export, and how often it was opened. */
function provided(closing: Promise<void>): { provider: ExportProvider; opened: () => number } {
  let opened = 0
  const provider: ExportProvider = {
    list: async () => [{ name: 'vol' }],
    describe: async () => ({ name: 'vol', sizeBytes: MIB, blockSizeBytes: 4096, readOnly: false, fastZero: true }),
    open: async () => {
      opened++
      return new ClosingDevice(closing)
    },
  }
  return { provider, opened: () => opened }
}

test('a failed close is reported to the caller of release, and the next client opens the export again', async () => {
  const closed = Promise.withResolvers<void>()
  const { provider, opened } = provided(closed.promise)
  const exports = new OpenExports(provider, () => undefined)
  const first = await exports.acquire('vol')
  const released = exports.release(first)
  const next = exports.acquire('vol')
  closed.reject(new AshlarError('TIMEOUT', 'the volume could not be given back'))
  await assert.rejects(released, { code: 'TIMEOUT' })
  assert.equal((await next).facts.name, 'vol')
  assert.equal(opened(), 2)
})

test('an export that is removed ends its connections; one of its name that is made later is another one', async () => {
  let lose: ((error: AshlarError) => void) | undefined
  let sizeBytes = MIB
  const exports: ExportProvider = {
    list: async () => [{ name: 'vol' }],
    describe: async (name) => ({ name, sizeBytes, blockSizeBytes: 4096, readOnly: false, fastZero: true }),
    open: async () => {
      const device = held(new MemoryDevice({ sizeBytes }), new Gate(), [])
      return {
        ...device,
        onLost: (listener) => {
          lose = listener
        },
      }
    },
  }
  await withServer({ exports }, async ({ attach, observed, server }) => {
    const [one, two] = [await attach(), await attach()]
    sizeBytes = 2 * MIB
    // A connection keeps the size that it was told, and so does one that joins it.
    for (const client of [one, two, await attach()]) {
      assert.equal(await client.errorOf({ command: CMD.READ, offset: MIB - 1, length: 1 }), 0)
      assert.equal(await client.errorOf({ command: CMD.READ, offset: MIB - 1, length: 2 }), ERR.EINVAL)
    }
    lose?.(new AshlarError('NOT_FOUND', 'the volume was removed'))
    lose?.(new AshlarError('NOT_FOUND', 'the volume was removed'))
    await one.closed()
    await two.closed()
    assert.deepEqual(observed.lost, ['vol'])
    const late = await attach()
    assert.equal(await late.errorOf({ command: CMD.READ, offset: 2 * MIB - 1, length: 1 }), 0)
    assert.ok(server.connections >= 1)
  })
})

test('a client that opens an export while it is lost gets the loss', async () => {
  const exports: ExportProvider = {
    list: async () => [{ name: 'vol' }],
    describe: async (name) => ({ name, sizeBytes: MIB, blockSizeBytes: 4096, readOnly: false, fastZero: true }),
    open: async () => ({
      ...held(new MemoryDevice({ sizeBytes: MIB }), new Gate(), []),
      onLost: (listener) => listener(new AshlarError('FENCED', 'another client attached the volume')),
    }),
  }
  await withServer({ exports }, async ({ connect }) => {
    const client = await connect()
    await client.read(18)
    client.write(clientFlags())
    const reply = (await client.ask(OPT.GO, infoData('vol'))).at(-1)
    assert.equal(reply?.type, REP.ERR_POLICY)
    assert.match(reply?.data.toString() ?? '', /another client attached/)
  })
})
