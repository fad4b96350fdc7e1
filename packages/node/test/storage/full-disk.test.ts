import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { KIB, MIB } from '@ashlar/proto'
import { type OpenStoreOptions, openStore } from '../../src/storage/index.ts'
import { assertWritten, blocksOfWrite, operation, StoreRunner } from './store-kit.ts'

const DISK_BYTES = 24 * MIB
const mounted: string[] = []
after(async () => {
  for (const place of mounted) {
    spawnSync('umount', [place])
    await rm(place, { recursive: true, force: true })
  }
})

/** A small file system of its own, or why there is none. */
async function smallDisk(): Promise<{ place: string } | { missing: string }> {
  const place = await mkdtemp(join(tmpdir(), 'ashlar-full-'))
  const result = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', place], { encoding: 'utf8' })
  if (result.status !== 0) {
    await rm(place, { recursive: true, force: true })
    return { missing: `mounting a tmpfs is not permitted here: ${result.error?.message ?? result.stderr.trim()}` }
  }
  mounted.push(place)
  return { place }
}

test('a store on a full disk fails, keeps every acknowledged write, and opens again with its ballast', async (t) => {
  const disk = await smallDisk()
  if ('missing' in disk) return t.skip(disk.missing)
  const options: OpenStoreOptions = {
    directory: join(disk.place, 'data'),
    ballastBytes: 6 * MIB,
    engine: { writeBufferBytes: 2 * MIB, maxFileBytes: MIB },
  }
  const runner = new StoreRunner()
  runner.use(await openStore(options, runner.complete))
  runner.create()
  const failed = runner.failed()
  let acked = 0
  let seq = 0
  const write = async () => {
    seq++
    const own = seq
    await runner.write(own, blocksOfWrite(own), { operation: operation(5, own, own, Math.max(0, own - 8)) })
    acked = Math.max(acked, own)
  }
  for (let i = 0; i < 100; i++) await write()
  // Someone else fills the disk up to the last page.
  await fillUp(join(disk.place, 'filler'))
  const reason = await Promise.race([
    failed,
    (async () => {
      while (seq < 20_000) await write()
      return 'never'
    })(),
  ])
  assert.match(reason, /No space left/)
  await runner.store.close()
  assert.ok(acked >= 100)

  const again = new StoreRunner()
  again.use(await openStore(options, again.complete))
  await assert.rejects(stat(join(options.directory, 'store/ballast')), /ENOENT/, 'the ballast made room')
  await assertWritten(again, acked, `disk full after ${acked} writes`)
  await again.store.close()

  await rm(join(disk.place, 'filler'))
  const third = new StoreRunner()
  third.use(await openStore(options, third.complete))
  assert.equal((await stat(join(options.directory, 'store/ballast'))).size, options.ballastBytes, 'it is made again')
  await third.store.close()
})

test('a cleanly closed store opens on a full disk, reports that it is full, and recovers when space is freed', async (t) => {
  const disk = await smallDisk()
  if ('missing' in disk) return t.skip(disk.missing)
  const options: OpenStoreOptions = { directory: join(disk.place, 'data'), ballastBytes: 6 * MIB }
  const runner = new StoreRunner()
  runner.use(await openStore(options, runner.complete))
  runner.create()
  for (let own = 1; own <= 20; own++)
    await runner.write(own, blocksOfWrite(own), { operation: operation(5, own, own, Math.max(0, own - 8)) })
  assert.equal(runner.store.space().space, 'free')
  await runner.store.close()
  // A second life with nothing in its log: LevelDB opens it without a byte to spare.
  const second = new StoreRunner()
  second.use(await openStore(options, second.complete))
  await second.store.close()
  await fillUp(join(disk.place, 'filler'))

  const third = new StoreRunner()
  third.use(await openStore(options, third.complete))
  const ballast = join(options.directory, 'store/ballast')
  await assert.rejects(stat(ballast), /ENOENT/, 'the ballast made room')
  assert.equal(third.store.space().space, 'full', 'the room of the ballast is not for clients')
  assert.equal(third.store.space().freeBytes, 0)
  await assertWritten(third, 20, 'opened on a full disk')
  await rm(join(disk.place, 'filler'))
  const deadline = performance.now() + 20_000
  const held = async () => (await stat(ballast).catch(() => undefined))?.size ?? 0
  while ((await held()) < 6 * MIB && performance.now() < deadline) await nextLook()
  assert.equal(await held(), options.ballastBytes, 'it is made again without a restart')
  assert.equal(third.store.space().space, 'free')
  await third.write(21, blocksOfWrite(21), { operation: operation(5, 21, 21, 13) })
  await third.store.close()
  const fourth = new StoreRunner()
  fourth.use(await openStore(options, fourth.complete))
  await assertWritten(fourth, 21, 'written once there was room')
  await fourth.store.close()
})

/** Free space is looked at once a second. */
function nextLook(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100))
}

async function fillUp(path: string): Promise<void> {
  const step = new Uint8Array(64 * KIB)
  try {
    for (;;) await writeFile(path, step, { flag: 'a' })
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  }
}
