import assert from 'node:assert/strict'
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { ClusterId, StoreId } from '@ashlar/proto'
import { BootMark, openControlLog, openExistingControlLog } from '../../src/storage/control-log/index.ts'
import { runtimeDirectory } from '../../src/storage/files/runtime-directory.ts'

const STORE = '00000000-0000-7000-8000-000000000001' as StoreId
const CANDIDATE = '00000000-0000-7000-8000-000000000002' as StoreId
const CLUSTER = '00000000-0000-7000-8000-00000000000a' as ClusterId
const OTHER_CLUSTER = '00000000-0000-7000-8000-00000000000b' as ClusterId

let parent: string
let store: string
let marks: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'ashlar-boot-mark-'))
  store = join(parent, 'store')
  marks = join(parent, 'marks')
  for (const directory of [store, marks]) await mkdir(directory)
})
afterEach(() => rm(parent, { recursive: true, force: true }))

/** Opens the control log of a data directory that belongs to `cluster`, lets `then` write to it, and closes it. */
async function opened(
  how: { shared?: boolean; cluster?: ClusterId | undefined } = {},
  then: (log: Awaited<ReturnType<typeof openControlLog>>) => Promise<void> = async () => undefined,
) {
  const { shared = false, cluster } = { cluster: CLUSTER, ...how }
  const control = join(store, 'control')
  const bootMark = await BootMark.open(marks, { store: STORE, control, cluster: () => cluster })
  try {
    const log = await openControlLog(control, { shared, bootMark })
    await then(log)
    await log.close()
    return { hardState: log.hardState, entries: log.entries.length }
  } finally {
    await bootMark.close()
  }
}

/** What a start finds of the log of a data directory that belongs to `cluster`: undefined where there is none to open. */
async function found(how: { shared?: boolean; cluster?: ClusterId | undefined } = {}) {
  const { shared = true, cluster } = { cluster: CLUSTER, ...how }
  const control = join(store, 'control')
  const bootMark = await BootMark.open(marks, { store: STORE, control, cluster: () => cluster })
  try {
    const log = await openExistingControlLog(control, { shared, bootMark })
    await log?.close()
    return log && { hardState: log.hardState, entries: log.entries.length }
  } finally {
    await bootMark.close()
  }
}

/** All of the directory goes back to what it was before its store kept a log. */
async function wentBackToNoLog(): Promise<void> {
  await wentBack()
  await rm(store, { recursive: true })
  await mkdir(store)
}

/** A log of two entries, and a vote in term 3; then all of the directory goes back to the log of one entry. */
async function wentBack(): Promise<void> {
  const entry = (index: number) => ({ index, term: 2, command: { do: 'begin-term' } as const })
  await opened({}, async (log) => {
    await log.persist({
      hardState: { term: 2, vote: undefined },
      append: { from: 1, entries: [entry(1)], restart: false },
    })
  })
  await cp(store, join(parent, 'copy'), { recursive: true })
  await opened({}, async (log) => {
    await log.persist({ append: { from: 2, entries: [entry(2)], restart: false } })
    await log.persist({ hardState: { term: 3, vote: CANDIDATE } })
  })
  await rename(store, join(parent, 'newer'))
  await cp(join(parent, 'copy'), store, { recursive: true })
}

const OLD_COPY = /is an old copy: this store wrote entry 0 of term 3, according to \S+marks\S+/
/** A voter that forgot what it said in term 3. */
const EMPTY_IN_TERM_4 = { hardState: { term: 4, vote: undefined, recovering: true }, entries: 0 }

describe('a mark outside of the data directory', () => {
  it('25: shows that a voter lost its log, at every start until other voters have filled it', async () => {
    await wentBack()
    assert.deepEqual(await opened({ shared: true }), EMPTY_IN_TERM_4)
    assert.deepEqual(await opened({ shared: true }), EMPTY_IN_TERM_4)
  })

  it('25: shows the same of a directory from before its store kept a log', async () => {
    await wentBackToNoLog()
    assert.deepEqual(await found(), EMPTY_IN_TERM_4)
    assert.deepEqual(await found(), EMPTY_IN_TERM_4, 'also at the next start')
    await rm(store, { recursive: true })
    await mkdir(join(store, 'control'), { recursive: true })
    assert.deepEqual(await found(), EMPTY_IN_TERM_4, 'also where the directory of the log was made')
  })

  it('25: refuses a start without a log if no other store has it, or none is known', async () => {
    await wentBackToNoLog()
    await assert.rejects(found({ cluster: undefined }), OLD_COPY)
    await assert.rejects(found({ shared: false }), OLD_COPY)
    await assert.rejects(found({ shared: false }), OLD_COPY, 'also at the next start')
    await assert.rejects(opened(), OLD_COPY, 'nor does a log begin later')
  })

  it('has no effect for a store that sent nothing, in another cluster, or before a recovery', async () => {
    assert.equal(await found(), undefined)
    await opened()
    await rm(join(store, 'control'), { recursive: true })
    assert.equal(await found(), undefined, 'the log was opened, and nothing was written')
    await wentBackToNoLog()
    assert.equal(await found({ cluster: OTHER_CLUSTER }), undefined)
    await mkdir(join(store, 'control.before-generation-2'))
    assert.equal(await found(), undefined)
  })

  it('25: refuses an older copy of a single voter, and accepts the newer directory', async () => {
    await wentBack()
    await assert.rejects(opened(), OLD_COPY)
    await assert.rejects(opened(), OLD_COPY, 'also at the next start')
    await rm(store, { recursive: true })
    await rename(join(parent, 'newer'), store)
    assert.deepEqual(await opened(), { hardState: { term: 3, vote: CANDIDATE }, entries: 2 })
  })

  it('25: refuses a second join over a copy from before the first', async () => {
    await wentBack()
    await assert.rejects(opened({ cluster: undefined }), OLD_COPY)
    await assert.rejects(opened({ cluster: undefined, shared: true }), OLD_COPY)
  })

  it('has no effect in another cluster, and after a recovery replaced the log', async () => {
    await wentBack()
    assert.equal((await opened({ cluster: OTHER_CLUSTER })).entries, 1)
    await rm(marks, { recursive: true })
    await mkdir(marks)
    await rm(join(parent, 'copy'), { recursive: true })
    await rm(join(parent, 'newer'), { recursive: true })
    await rm(store, { recursive: true })
    await mkdir(store)
    await wentBack()
    await mkdir(join(store, 'control.before-generation-2'))
    assert.equal((await opened()).entries, 1)
  })

  it('has no effect if it is missing or damaged', async () => {
    await wentBack()
    const [name] = await readdir(marks)
    assert.equal(name, STORE)
    for (const damage of ['', 'not JSON', '{"cluster":1}', '{}']) {
      await writeFile(join(marks, STORE), damage)
      assert.equal((await opened()).entries, 1)
    }
    await rm(join(marks, STORE))
    assert.equal((await opened()).entries, 1)
  })
})

describe('the runtime directory', () => {
  it('is the first candidate that only this user may write to', async () => {
    const file = join(parent, 'file')
    await writeFile(file, '')
    const open = join(parent, 'open')
    await mkdir(open)
    await chmod(open, 0o777)
    const link = join(parent, 'link')
    await symlink(marks, link)
    const missing = join(parent, 'missing', 'place')
    const good = join(parent, 'good')
    assert.equal(await runtimeDirectory([missing, file, open, link, good]), good)
    assert.equal(await runtimeDirectory([good]), good, 'it is there by now')
    await assert.rejects(
      runtimeDirectory([missing, file, open, link]),
      /ENOENT.*not a directory.*others may write.*not a directory/,
    )
  })
})
