import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chance } from '../../sim/world/chance.ts'
import { type Disk, DiskFailure } from './disk.ts'
import { DiskUser, VOLUME_BYTES, VolumeHistory } from './workload.ts'

const CALLS = 200

/** A disk in memory. `fault` may change what a call does: the number of the call decides. */
function memoryDisk(fault: (call: number, write: () => void) => void = (_, write) => write()): Disk {
  const content = new Uint8Array(VOLUME_BYTES)
  let writes = 0
  return {
    read: async (offset, length) => content.slice(offset, offset + length),
    write: async (offset, bytes) => fault(++writes, () => content.set(bytes, offset)),
    discard: async (offset, length) => void content.fill(0, offset, offset + length),
    close: async () => undefined,
  }
}

async function findings(disk: Disk): Promise<string[]> {
  const volume = new VolumeHistory('disk')
  const user = new DiskUser('a-user', volume, async () => disk, new Chance(1))
  const working = user.work(4)
  while (user.ended.done + user.ended.unknown < CALLS) await new Promise((resolve) => setImmediate(resolve))
  user.stop()
  await working
  await user.readAll()
  return volume.check()
}

test('a disk that does what it says has no findings', async () => {
  assert.deepEqual(await findings(memoryDisk()), [])
})

test('a disk that forgets a write it has acknowledged is found out', async () => {
  const found = await findings(memoryDisk((call, write) => (call % 20 === 0 ? undefined : write())))
  assert.match(found.join('\n'), /was read after|never written|returned zeroes/)
})

test('writes without an answer may have happened or not: both are explained', async () => {
  const lost = (call: number, write: () => void): void => {
    if (call % 3 !== 0) return write()
    if (call % 2 === 0) write()
    throw new DiskFailure('no answer', { ending: 'unknown', reason: 'silence', explained: true, over: false })
  }
  assert.deepEqual(await findings(memoryDisk(lost)), [])
})

test('a failure that no fault explains is a finding', async () => {
  const broken = memoryDisk((call, write) => {
    if (call !== 7) return write()
    throw new DiskFailure('DAMAGED', { ending: 'unknown', reason: 'DAMAGED', explained: false, over: false })
  })
  assert.deepEqual(await findings(broken), ['a-user on disk: DAMAGED'])
})
