/**
 * `read-all.ts DIRECTORY WRITES`: reads every block of a store, compares with what was written, and prints how it went.
 */
import assert from 'node:assert/strict'
import { AshlarError, BLOCK_DATA, sameVersion } from '@ashlar/proto'
import { openStore } from '../../../packages/node/src/storage/index.ts'
import { blocksOfWrite, content, Model, StoreRunner } from '../../../packages/node/test/storage/store-kit.ts'
import type { FlipOutcome } from '../flips.ts'

const WRITTEN_BLOCKS = 1500

async function readAll(directory: string, writes: number): Promise<FlipOutcome> {
  const runner = new StoreRunner()
  try {
    runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  } catch (error) {
    assert.ok(error instanceof AshlarError && error.hint !== undefined, `the refusal says what to do: ${error}`)
    return 'open refused'
  }
  try {
    return await compare(runner, writes)
  } finally {
    await runner.store.close()
  }
}

async function compare(runner: StoreRunner, writes: number): Promise<FlipOutcome> {
  const model = new Model()
  for (let seq = 1; seq <= writes; seq++) model.apply(blocksOfWrite(seq))
  const failed = runner.failed()
  const loading = runner.load(Array.from({ length: WRITTEN_BLOCKS }, (_, block) => block))
  const loaded = await Promise.race([loading, failed])
  // A table that cannot be read at all: the store ends, and its node asks its peers after the next start.
  if (typeof loaded === 'string') return 'store suspect'
  let damaged = 0
  const changed: number[] = []
  for (const { block, version, bytes, damaged: isDamaged } of loaded) {
    if (isDamaged) damaged++
    else {
      if (version.kind === BLOCK_DATA) {
        const right = Buffer.compare(bytes as Uint8Array, content(block, versionOfBytes(bytes as Uint8Array))) === 0
        assert.ok(right, `block ${block} is returned with bytes that were never written there`)
      }
      if (!sameVersion(version, model.versions.get(block))) changed.push(block)
    }
  }
  const { identity, metrics, replicas } = runner.store
  const isSuspect = identity.trust !== 'trusted' || metrics.leafMismatches > 0 || replicas.length === 0
  assert.ok(changed.length === 0 || isSuspect, `blocks ${changed.slice(0, 5)} are older, and the store is not suspect`)
  if (isSuspect) return 'store suspect'
  return damaged > 0 ? 'block found damaged' : 'nothing to see'
}

/** The write whose content these bytes claim to be (`content` puts its seq behind the block). */
function versionOfBytes(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4)
}

const [directory = '', writes = ''] = process.argv.slice(2)
process.stdout.write(`${await readAll(directory, Number(writes))}\n`)
