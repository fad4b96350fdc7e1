/**
 * `read-all.ts DIRECTORY WRITES`: opens a store, reads every block, compares with what was written, and prints how it went.
 * A store that is suspect is compared with what was written, as with a primary, and must be trusted after that.
 */
import assert from 'node:assert/strict'
import { AshlarError, BLOCK_DATA, type BlockIndex, sameVersion } from '@ashlar/proto'
import { openStore } from '../../../packages/node/src/storage/index.ts'
import {
  BLOCKS,
  blocksOfWrite,
  content,
  data,
  Model,
  StoreRunner,
} from '../../../packages/node/test/storage/store-kit.ts'
import type { Incarnation } from '../flips.ts'

const WRITTEN_BLOCKS = 1500
/** Of the extent. */
const LEAVES = Array.from({ length: BLOCKS / 256 }, (_, leaf) => leaf)

async function readAll(directory: string, writes: number): Promise<Incarnation> {
  const runner = new StoreRunner()
  const failed = runner.failed()
  const failure = failed.then((reason) => ({ end: 'failed', reason }) as const)
  try {
    runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  } catch (error) {
    assert.ok(error instanceof AshlarError, `the refusal is an error of its own: ${error}`)
    return { end: 'refused', reason: `${error.message} (${error.hint ?? ''})` }
  }
  const model = new Model()
  for (let seq = 1; seq <= writes; seq++) model.apply(blocksOfWrite(seq))
  const { trust } = runner.store.identity
  try {
    const done = trust === 'trusted' ? compare(runner, model) : compareAsSuspect(runner, model)
    return await Promise.race([done, failure])
  } finally {
    await runner.store.close()
  }
}

/** What a trusted store returns is right, or the store finds that it is not. */
async function compare(runner: StoreRunner, model: Model): Promise<Incarnation> {
  const loaded = await runner.load(Array.from({ length: WRITTEN_BLOCKS }, (_, block) => block))
  let damaged = 0
  const changed: number[] = []
  for (const { block, version, bytes, damaged: isDamaged } of loaded) {
    if (isDamaged) damaged++
    else {
      if (version.kind === BLOCK_DATA) assertWritten(block, bytes as Uint8Array)
      if (!sameVersion(version, model.versions.get(block))) changed.push(block)
    }
  }
  const { metrics, replicas } = runner.store
  const isLost = metrics.leafMismatches > 0 || replicas.length === 0
  assert.ok(changed.length === 0 || isLost, `blocks ${changed.slice(0, 5)} are older, and the store is not suspect`)
  if (replicas.length === 0) return { end: 'replica lost' }
  if (isLost) return { end: 'suspect' }
  return { end: damaged > 0 ? 'damaged' : 'sound' }
}

/** As a primary does it with a suspect replica (A2.17-2, A2.17-5): all is read, what differs is written, the MARK follows. */
async function compareAsSuspect(runner: StoreRunner, model: Model): Promise<Incarnation> {
  if (runner.store.replicas.length === 0) runner.create()
  const wanted = new Set<BlockIndex>()
  for (const leaf of LEAVES) {
    const [listed] = await runner.versions([leaf])
    const blocks = (listed?.versions ?? []).filter(({ kind }) => kind === BLOCK_DATA).map(({ block }) => block)
    for (const { block, damaged, bytes } of await runner.load(blocks)) {
      if (damaged) wanted.add(block)
      else assertWritten(block, bytes as Uint8Array)
    }
  }
  await runner.digests()
  for (const { leaf, versions } of await runner.versions(LEAVES)) {
    for (const { block, ...version } of versions)
      if (!sameVersion(version, model.versions.get(block))) wanted.add(block)
    for (const { block, ...version } of model.versions.versionsOf(leaf))
      if (!versions.some((held) => held.block === block && sameVersion(held, version))) wanted.add(block)
  }
  const blocks = [...wanted].map((block) => {
    const version = model.versions.get(block)
    return version.kind === BLOCK_DATA ? data(block, version.seq) : { block, version }
  })
  await runner.commit({ blocks, windows: [], marked: true })
  assert.deepEqual(await runner.digests(), model.digests, 'it holds what it was compared with')
  const ended = runner.completions.find(({ type }) => type === 'store-suspect')
  assert.equal(ended, undefined, 'a store that was opened as suspect goes on')
  assert.ok(
    runner.completions.some(({ type }) => type === 'store-cleared'),
    'it is trusted once it was compared',
  )
  return { end: 'compared' }
}

function assertWritten(block: BlockIndex, bytes: Uint8Array): void {
  const right = Buffer.compare(bytes, content(block, versionOfBytes(bytes))) === 0
  assert.ok(right, `block ${block} is returned with bytes that were never written there`)
}

/** The write whose content these bytes claim to be (`content` puts its seq behind the block). */
function versionOfBytes(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4)
}

const [directory = '', writes = ''] = process.argv.slice(2)
process.stdout.write(`${JSON.stringify(await readAll(directory, Number(writes)))}\n`)
