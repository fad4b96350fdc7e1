import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExportProvider, MemoryDevice } from '@ashlar/client/nbd'
import { AshlarError, MIB } from '@ashlar/proto'
import { OpenExports } from '../../../src/nbd/server/open-exports.ts'

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

test('a device that fails to close is told to who released it, and the next client opens the export anew', async () => {
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
