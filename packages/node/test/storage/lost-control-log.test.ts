import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { ClusterId, StoreId } from '@ashlar/proto'
import type { LogEntry } from '../../src/core/control/index.ts'
import { openControlLog, openExistingControlLog } from '../../src/storage/control-log/index.ts'

const SHARED = { shared: true }
const CLUSTER = '00000000-0000-7000-8000-000000000009' as ClusterId
const CANDIDATE = '00000000-0000-7000-8000-000000000002' as StoreId

/** What lies beside the directory. */
const MARKS = ['.term', '.last']

let parent: string
let directory: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'ashlar-lost-log-'))
  directory = join(parent, 'control')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

function entries(count: number): LogEntry[] {
  return Array.from({ length: count }, (_, at) => ({ index: at + 1, term: 3, command: { do: 'begin-term' } }))
}

/** A voter's log of five entries, which voted in term 7. */
async function votedInTerm7(): Promise<void> {
  const log = await openControlLog(directory, SHARED)
  await log.persist({
    hardState: { term: 3, vote: undefined },
    append: { from: 1, entries: entries(5), restart: false },
  })
  await log.persist({ hardState: { term: 7, vote: CANDIDATE } })
  await log.close()
}

async function reopened(options = SHARED) {
  const log = await openControlLog(directory, options)
  await log.close()
  const { hardState, entries: found, snapshot } = log
  return { hardState, entries: found.length, snapshot }
}

const EMPTY_IN_TERM_8 = { hardState: { term: 8, vote: undefined, recovering: true }, entries: 0, snapshot: undefined }

describe('a control log that other stores keep too', () => {
  it('opens unchanged if nothing happened to it', async () => {
    await votedInTerm7()
    assert.deepEqual(await reopened(), { hardState: { term: 7, vote: CANDIDATE }, entries: 5, snapshot: undefined })
  })

  it('25: without its directory opens empty in a later term, and reports the loss at every start', async () => {
    await votedInTerm7()
    await rm(directory, { recursive: true })
    assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
    assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
    await rm(directory, { recursive: true })
    const log = await openExistingControlLog(directory, SHARED)
    assert.deepEqual(log?.hardState, { term: 9, vote: undefined, recovering: true }, 'it may have answered in term 8')
    await log?.close()
  })

  it('25: is detected as lost without its files, or with those of an old copy', async () => {
    await votedInTerm7()
    for (const name of await readdir(directory)) await rm(join(directory, name))
    assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
    const log = await openControlLog(directory, SHARED)
    const saved = await Promise.all(['vote.0', 'vote.1'].map((name) => readFile(join(directory, name))))
    await log.persist({ hardState: { term: 12, vote: CANDIDATE } })
    await log.close()
    for (const [n, bytes] of saved.entries()) await writeFile(join(directory, `vote.${n}`), bytes)
    assert.equal((await reopened()).hardState?.term, 13)
  })

  /** Puts back what the directory held before `then` went on with the log. */
  async function oldCopy(then: (log: Awaited<ReturnType<typeof openControlLog>>) => Promise<void>): Promise<void> {
    await cp(directory, join(parent, 'copy'), { recursive: true })
    const log = await openControlLog(directory, SHARED)
    await then(log)
    await log.close()
    await rm(directory, { recursive: true })
    await cp(join(parent, 'copy'), directory, { recursive: true })
  }

  it('25: is detected as an old copy of the same term by a missing entry or vote', async () => {
    await votedInTerm7()
    await oldCopy(async (log) => log.persist({ append: { from: 6, entries: entries(6).slice(5), restart: false } }))
    assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
    await oldCopy(async (log) => log.persist({ hardState: { term: 8, vote: CANDIDATE, recovering: true } }))
    assert.deepEqual(await reopened(), { ...EMPTY_IN_TERM_8, hardState: { ...EMPTY_IN_TERM_8.hardState, term: 9 } })
  })

  it('is no old copy after its end of an older term was dropped', async () => {
    await votedInTerm7()
    const log = await openControlLog(directory, SHARED)
    await log.persist({
      snapshot: { index: 2, term: 3, members: { voters: [], learners: [] }, state: new Uint8Array() },
    })
    await log.persist({
      append: { from: 4, entries: [{ index: 4, term: 7, command: { do: 'begin-term' } }], restart: false },
    })
    await log.close()
    assert.deepEqual([(await reopened()).hardState?.term, (await reopened()).entries], [7, 2])
  })

  it('opens without the newer of its marks, as an older build kept it, and with a mark that a crash tore', async () => {
    await votedInTerm7()
    await writeFile(`${directory}.last`, 'torn')
    assert.equal((await reopened()).entries, 5)
    await rm(`${directory}.last`)
    assert.equal((await reopened()).entries, 5)
  })

  it('25: of a single voter is refused if it is an old copy', async () => {
    await votedInTerm7()
    await oldCopy(async (log) => log.persist({ append: { from: 6, entries: entries(6).slice(5), restart: false } }))
    await assert.rejects(reopened({ shared: false }), /old copy: this store wrote entry 6 of term 7/)
  })

  /** `cluster recover` as the build before the newer mark does it: that one stays where it is. */
  async function recoveredByOlderBuild(): Promise<void> {
    await rename(`${directory}.term`, `${directory}.before-generation-1.term`)
    await rename(directory, `${directory}.before-generation-1`)
    const log = await openControlLog(directory)
    const rebuilt = { lastVolume: 1, nodes: [], volumes: [], extents: [], lossy: [] }
    await log.append([
      { index: 1, term: 1, command: { do: 'found', cluster: CLUSTER, voters: [] } },
      { index: 2, term: 1, command: { do: 'recover', generation: 1, ...rebuilt } },
    ])
    await log.close()
  }

  it('made by `cluster recover` of an older build is no old copy of the log before it, in any term', async () => {
    for (const shared of [false, true]) {
      for (const term of [2, 7, 8]) {
        await rm(parent, { recursive: true })
        await mkdir(parent)
        await votedInTerm7()
        await recoveredByOlderBuild()
        assert.equal((await reopened({ shared })).entries, 2)
        const mark = await readFile(`${directory}.last`)
        const log = await openControlLog(directory, { shared })
        await log.persist({ hardState: { term, vote: undefined } })
        await log.close()
        // The older build went on with it, too.
        await writeFile(`${directory}.last`, mark)
        assert.deepEqual((await reopened({ shared })).hardState, { term, vote: undefined }, `term ${term}`)
      }
    }
  })

  it('25: made by `cluster recover` has its own mark, also against a copy of the log before it', async () => {
    await votedInTerm7()
    await recoveredByOlderBuild()
    const log = await openControlLog(directory)
    await log.persist({ hardState: { term: 3, vote: undefined } })
    await log.persist({
      append: { from: 3, entries: [{ index: 3, term: 3, command: { do: 'begin-term' } }], restart: false },
    })
    await log.close()
    await rename(directory, `${directory}.newer`)
    await cp(`${directory}.before-generation-1`, directory, { recursive: true })
    await assert.rejects(reopened({ shared: false }), /old copy: this store wrote entry 3 of term 3/)
  })

  it('that starts again after `cluster recover` of an older build is not lost', async () => {
    await votedInTerm7()
    await recoveredByOlderBuild()
    await rm(directory, { recursive: true })
    assert.deepEqual(await reopened(), { hardState: undefined, entries: 0, snapshot: undefined })
    const log = await openControlLog(directory, SHARED)
    await log.persist({ hardState: { term: 3, vote: CANDIDATE } })
    await log.close()
    assert.deepEqual((await reopened()).hardState, { term: 3, vote: CANDIDATE })
  })

  it('25: with damaged term and vote continues above the term of its mark', async () => {
    await votedInTerm7()
    for (const name of ['vote.0', 'vote.1']) await writeFile(join(directory, name), 'no vote that a build wrote')
    assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
    for (const mark of MARKS) await rm(`${directory}${mark}`)
    for (const name of ['vote.0', 'vote.1']) await writeFile(join(directory, name), 'no vote that a build wrote')
    await assert.rejects(reopened(), /both copies of the term and vote/, 'without a mark the last term is unknown')
  })

  it('35: with a corrupt acknowledged entry is set aside whole and not truncated', async () => {
    await votedInTerm7()
    const [segment] = (await readdir(directory)).filter((name) => name.endsWith('.log')) as [string]
    const bytes = await readFile(join(directory, segment))
    for (const at of [60, bytes.length - 1]) {
      const rotten = Buffer.from(bytes)
      rotten[at] = (rotten[at] ?? 0) ^ 0xff
      await rm(directory, { recursive: true, force: true })
      for (const mark of MARKS) await rm(`${directory}${mark}`)
      await votedInTerm7()
      await writeFile(join(directory, segment), rotten)
      await assert.rejects(reopened({ shared: false }), /control log/, 'a log without another copy is kept')
      assert.deepEqual(await reopened(), EMPTY_IN_TERM_8)
      assert.deepEqual(await readFile(join(`${directory}.set-aside`, segment)), rotten)
    }
  })

  it('is recovering until a request ends that, which is durable like a vote', async () => {
    await votedInTerm7()
    await rm(directory, { recursive: true })
    const log = await openControlLog(directory, SHARED)
    await log.persist({ append: { from: 1, entries: entries(6), restart: false } })
    await log.persist({ hardState: { term: 9, vote: undefined } })
    await log.close()
    assert.deepEqual(await reopened(), { hardState: { term: 9, vote: undefined }, entries: 6, snapshot: undefined })
  })

  it('that never existed is not lost', async () => {
    assert.equal(await openExistingControlLog(directory, SHARED), undefined)
    assert.deepEqual(await reopened(), { hardState: undefined, entries: 0, snapshot: undefined })
  })
})
