import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { AshlarError, NODE_ENDS } from '@ashlar/proto'
import { corruptStoreError, endOfStart, unusableStoreError } from '../../src/storage/errors.ts'
import { openStore } from '../../src/storage/index.ts'

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-ends-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

const open = (directory: string) => openStore({ directory, ballastBytes: 0 }, () => undefined)
const endOf = (starting: Promise<unknown>) => starting.then(() => assert.fail('it started'), endOfStart)

describe('why a node cannot be started', () => {
  it('is a data directory that another process uses, or with foreign files', async (t) => {
    const directory = await directoryOf(t)
    const store = await open(join(directory, 'data'))
    t.after(() => store.close())
    assert.equal(await endOf(open(join(directory, 'data'))), 'data-directory')
    await writeFile(join(directory, 'foreign'), '')
    assert.equal(await endOf(open(directory)), 'data-directory')
    assert.equal(endOfStart(corruptStoreError('the head is damaged')), 'data-directory')
  })

  it('is an old copy where the control log is one', () => {
    assert.equal(
      endOfStart(unusableStoreError('an old copy', 'put the newer one back', undefined, 'old-copy')),
      'old-copy',
    )
  })

  it('is a full disk, however the error of the system is wrapped', () => {
    const cause = new Error('IO error: /data/000005.log: No space left on device')
    assert.equal(endOfStart(new AshlarError('INTERNAL', 'the database cannot be opened', { cause })), 'disk-full')
  })

  it('is a fault of the software otherwise', () => {
    assert.equal(endOfStart(new AshlarError('USAGE', 'cannot listen: another process does')), 'internal')
    assert.equal(endOfStart('a text'), 'internal')
  })
})

it('each end of a node has an exit code of its own, which no command, shell or Node itself uses', () => {
  const codes = Object.values(NODE_ENDS).map(({ exit }) => exit)
  assert.equal(new Set(codes).size, codes.length)
  for (const code of codes.filter((exit) => exit !== 1)) assert.ok(code >= 20 && code < 126, String(code))
})
