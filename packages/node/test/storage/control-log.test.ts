import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { AshlarError, type SessionId, type VolumeId } from '@ashlar/proto'
import type { LogEntry } from '../../src/core/control/index.ts'
import { openControlLog } from '../../src/storage/control-log/index.ts'

const entry = (index: number, term = 1): LogEntry => ({
  index,
  term,
  command: { do: 'detach', volume: index as VolumeId, session: (2 ** 53 - index) as SessionId },
})
const entriesTo = (last: number) => Array.from({ length: last }, (_, i) => entry(i + 1))
const corrupt = (error: unknown) => error instanceof AshlarError && error.code === 'INTERNAL'

describe('control log', () => {
  let directory: string
  const made: string[] = []
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'ashlar-log-')), 'control')
    made.push(directory)
  })
  after(async () => {
    for (const path of made) await rm(join(path, '..'), { recursive: true, force: true })
  })
  const segment = async () => join(directory, (await readdir(directory)).filter((n) => n.endsWith('.log'))[0] as string)
  const fill = async (last: number, options = {}) => {
    const log = await openControlLog(directory, options)
    await log.append(entriesTo(last))
    await log.close()
  }
  const reread = async () => {
    const log = await openControlLog(directory)
    await log.close()
    return log.entries
  }

  test('is empty at first and returns appended entries, with numbers up to 2^53', async () => {
    assert.deepEqual(await reread(), [])
    await fill(3)
    const log = await openControlLog(directory)
    assert.deepEqual(log.entries, entriesTo(3))
    await log.append([entry(4, 2)])
    await log.append([])
    await log.append([entry(5, 2), entry(6, 3)])
    await log.close()
    assert.deepEqual(await reread(), [...entriesTo(3), entry(4, 2), entry(5, 2), entry(6, 3)])
    await assert.rejects(log.append([entry(7)]), (e) => e instanceof AshlarError && e.code === 'CLOSED')
  })

  test('keeps the order of overlapping appends', async () => {
    const log = await openControlLog(directory)
    await Promise.all(entriesTo(40).map((e) => log.append([e])))
    await log.close()
    assert.deepEqual(await reread(), entriesTo(40))
  })

  test('refuses an index that does not follow the last one', async () => {
    const log = await openControlLog(directory)
    await log.append([entry(1)])
    await assert.rejects(log.append([entry(3)]), /entry 3 appended after entry 1/)
    await log.close()
  })

  test('continues in a new file when one is full, and reads the files in order', async () => {
    await fill(1, { segmentBytes: 100 })
    for (let index = 2; index <= 9; index++) {
      const log = await openControlLog(directory, { segmentBytes: 100 })
      await log.append([entry(index)])
      await log.close()
    }
    assert.ok((await readdir(directory)).filter((name) => name.endsWith('.log')).length > 2)
    assert.deepEqual(await reread(), entriesTo(9))
  })

  test('truncated at any byte keeps the whole records before it, and accepts appends', async () => {
    await fill(4)
    const path = await segment()
    const whole = await readFile(path)
    // As after a power cut before the first sync: nothing was acknowledged.
    await rm(join(directory, 'synced'))
    const ends = [8]
    for (let last = 1; last <= 4; last++)
      ends.push((ends[last - 1] as number) + recordLength(whole, ends[last - 1] as number))
    assert.equal(ends.at(-1), whole.length)
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length))
      await rm(join(directory, 'synced'), { force: true })
      const kept = ends.filter((end, i) => i > 0 && end <= length).length
      const log = await openControlLog(directory)
      assert.deepEqual(log.entries, entriesTo(kept), `cut to ${length} bytes`)
      await log.append([entry(kept + 1)])
      await log.close()
      assert.deepEqual(await reread(), entriesTo(kept + 1), `cut to ${length} bytes, then appended`)
    }
  })

  test('refuses a flipped byte in any acknowledged record', async () => {
    await fill(4)
    const path = await segment()
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] as number) ^ 0x40
      await writeFile(path, damaged)
      await assert.rejects(openControlLog(directory), corrupt, `byte ${at}`)
      assert.equal(Buffer.compare(await readFile(path), damaged), 0, `byte ${at}: a refused file is left as it is`)
    }
  })

  test('truncates a torn append, which was not acknowledged', async () => {
    await fill(2)
    const before = (await readFile(await segment())).length
    const log = await openControlLog(directory)
    await log.append([entry(3), entry(4), entry(5)])
    await log.close()
    await rm(join(directory, 'synced'))
    const path = await segment()
    const torn = await readFile(path)
    torn.fill(0, before + 10, before + 30)
    await writeFile(path, torn)
    assert.deepEqual(await reread(), entriesTo(2))
  })

  test('refuses damage before a later append, also without the hint', async () => {
    for (let index = 1; index <= 3; index++) {
      const log = await openControlLog(directory)
      await log.append([entry(index)])
      await log.close()
    }
    await rm(join(directory, 'synced'))
    const path = await segment()
    const damaged = await readFile(path)
    damaged[8 + 40] = (damaged[8 + 40] as number) ^ 1
    await writeFile(path, damaged)
    await assert.rejects(openControlLog(directory), corrupt)
  })

  test('refuses a lost acknowledged end', async () => {
    await fill(4)
    const path = await segment()
    const { length } = await readFile(path)
    await truncate(path, length - 1)
    await assert.rejects(openControlLog(directory), /ends at entry 3, but entry 4 had been acknowledged/)
  })

  test('refuses a missing file in the middle', async () => {
    for (let index = 1; index <= 6; index++) {
      const log = await openControlLog(directory, { segmentBytes: 100 })
      await log.append([entry(index)])
      await log.close()
    }
    const names = (await readdir(directory)).filter((name) => name.endsWith('.log'))
    await rm(join(directory, names[1] as string))
    await assert.rejects(openControlLog(directory), corrupt)
  })

  test('refuses a foreign file by name', async () => {
    await fill(1)
    await writeFile(join(directory, 'notes.txt'), 'x')
    await assert.rejects(openControlLog(directory), /foreign file, notes\.txt/)
  })

  test('accepts no append after a failed write', async () => {
    const log = await openControlLog(directory, { segmentBytes: 10 })
    await log.append([entry(1)])
    // The next file cannot be made: its name is taken by a directory.
    await mkdir(join(directory, `${'2'.padStart(16, '0')}.log`))
    await assert.rejects(log.append([entry(2)]), /EEXIST/)
    await rm(join(directory, `${'2'.padStart(16, '0')}.log`), { recursive: true })
    await assert.rejects(log.append([entry(3)]), /earlier write/)
    await log.close()
  })
})

function recordLength(file: Buffer, at: number): number {
  return 36 + file.readUInt32BE(at + 4)
}
