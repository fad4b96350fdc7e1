import assert from 'node:assert/strict'
import { cp, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AshlarError, BLOCK_DATA, sameVersion } from '@ashlar/proto'
import { openStore } from '../../packages/node/src/storage/index.ts'
import { blocksOfWrite, content, Model, StoreRunner } from '../../packages/node/test/storage/store-kit.ts'
import type { FlipPoint } from './points.ts'

/** What a store with one flipped bit does. Each is right: none returns a wrong byte as if it were sound. */
export type FlipOutcome = 'nothing to see' | 'block found damaged' | 'store suspect' | 'open refused'

const WRITTEN_BLOCKS = 1500
const DATABASE = 'store/db'

export async function filesOf(directory: string): Promise<{ name: string; bytes: number }[]> {
  const names = (await readdir(join(directory, DATABASE))).filter((name) => !/^LO(CK|G)/.test(name)).sort()
  return await Promise.all(
    names.map(async (name) => ({ name, bytes: (await stat(join(directory, DATABASE, name))).size })),
  )
}

/** Reads every block of a copy of the store in which one bit is another; `writes` were made before it was closed. */
export async function runFlipPoint(
  written: string,
  place: string,
  point: FlipPoint,
  writes: number,
): Promise<FlipOutcome> {
  const directory = join(place, 'data')
  await cp(written, directory, { recursive: true })
  await flip(join(directory, DATABASE, point.file), point)
  const outcome = await readAll(directory, writes)
  await rm(place, { recursive: true })
  return outcome
}

async function flip(path: string, { offset, bit }: FlipPoint): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset)
    byte[0] = (byte[0] as number) ^ (1 << bit)
    await file.write(byte, 0, 1, offset)
  } finally {
    await file.close()
  }
}

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
        assert.ok(right, `block ${block} is returned with bytes that nobody wrote there`)
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
