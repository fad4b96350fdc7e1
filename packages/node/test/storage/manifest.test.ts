import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLevelDbDriver } from '../../src/storage/index.ts'
import { withNextFileNumber } from '../../src/storage/offline/manifest.ts'
import { put } from '../conformance/storage-driver-suite.ts'

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'ashlar-manifest-'))
})
after(() => rm(root, { recursive: true, force: true }))

const BLOCK = 32 * 1024
const key = Buffer.from('k')

test('LevelDB reads the edit at any position of a block, and continues its file numbers', async () => {
  // Each length that a manifest can have at the end of a block, by edits that say nothing.
  for (const left of [0, 1, 5, 6, 7, 8, 10, 11, 12, 13, 14, 20]) {
    const directory = join(root, `left-${left}`)
    const driver = await openLevelDbDriver(directory)
    await driver.apply([put(key, Buffer.from('value'))], 'synced')
    await driver.close()
    const name = (await readdir(directory)).find((other) => other.startsWith('MANIFEST')) ?? assert.fail('a manifest')
    const manifest = filledTo(BLOCK - left, await readFile(join(directory, name)))
    assert.equal(manifest.length % BLOCK, (BLOCK - left) % BLOCK)
    await writeFile(join(directory, name), withNextFileNumber(manifest, 5_000_000))
    const again = await openLevelDbDriver(directory)
    assert.deepEqual(
      Buffer.from((await again.get(key)) ?? []),
      Buffer.from('value'),
      `${left} bytes are left of a block`,
    )
    await again.close()
    const numbers = (await readdir(directory)).map((other) => Number(/\d+/.exec(other)?.[0] ?? 0))
    assert.ok(Math.max(...numbers) >= 5_000_000, `${left}: ${numbers.join()}`)
  }
})

/** The manifest with edits of our own behind it, so that it is `length` bytes long: each is 7 bytes and what the number takes. */
function filledTo(length: number, manifest: Buffer): Buffer {
  let filled: Buffer = manifest
  // Numbers of one to four bytes: edits of 9 to 12 bytes, of which every length from 72 on can be put together.
  while (length - filled.length >= 100) filled = withNextFileNumber(filled, 2_100_000)
  const sizes = new Map([
    [9, 100],
    [10, 10_000],
    [11, 2_000_000],
    [12, 2_100_000],
  ])
  const fill = (rest: number): number[] | undefined => {
    if (rest === 0) return []
    for (const size of [12, 11, 10, 9]) {
      const more = rest >= size ? fill(rest - size) : undefined
      if (more !== undefined) return [size, ...more]
    }
    return undefined
  }
  for (const size of fill(length - filled.length) ?? assert.fail(`${length - filled.length} bytes cannot be filled`)) {
    filled = withNextFileNumber(filled, sizes.get(size) as number)
  }
  return filled
}

test('an edit that a crash cut off at any length is ignored', async () => {
  const directory = join(root, 'cut')
  const driver = await openLevelDbDriver(directory)
  await driver.apply([put(key, Buffer.from('value'))], 'synced')
  await driver.close()
  const name = (await readdir(directory)).find((other) => other.startsWith('MANIFEST')) ?? assert.fail('a manifest')
  const manifest = await readFile(join(directory, name))
  const edit = withNextFileNumber(Buffer.alloc(0), 300)
  for (let length = 0; length < edit.length; length++) {
    const cut = Buffer.concat([manifest, edit.subarray(0, length)])
    assert.deepEqual(withNextFileNumber(cut, 300), Buffer.concat([manifest, edit]), `${length} bytes of it`)
  }
})
