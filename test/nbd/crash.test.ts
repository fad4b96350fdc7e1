import assert from 'node:assert/strict'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { deviceExports, MemoryDevice, serveNbd } from '@ashlar/client/nbd'
import { Random, seedOf } from '../../packages/client/test/nbd/support/random.ts'
import {
  applyChanges,
  type RecordedChange,
  Recording,
} from '../../packages/client/test/nbd/support/recording-device.ts'
import { longest } from '../kit/deadline.ts'
import { run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { succeed } from './client-runs.ts'
import { MOUNT_TOOLS, withMounted } from './mounted.ts'

/** What a power cut makes of an ext4 file system on an export, wherever it strikes between writes and flushes. */

const SIZE = 32 * 1024 * 1024
const FILES = 40
const SEED = seedOf(20_261_125)
/** Images that are checked: ASHLAR_CRASH_IMAGES sets more, `all` every flush point. */
const IMAGES = process.env['ASHLAR_CRASH_IMAGES'] ?? '16'

/** A file that fsync returned for, and the moment of the recording at which it had. */
interface Synced {
  readonly name: string
  readonly content: string
  readonly moment: number
}

/** Writes files and syncs each; every fourth is written over one that is there, every seventh removes one. */
async function work(directory: string, recording: Recording, random: Random): Promise<Synced[]> {
  const synced: Synced[] = []
  for (let at = 0; at < FILES; at++) {
    const name = `file-${at}`
    const content = `${name} ${'x'.repeat(random.below(40_000))} end`
    const file = await open(join(directory, name), 'w')
    await file.writeFile(content)
    await file.sync()
    await file.close()
    // The file's name is in its directory, which is synced on its own.
    const folder = await open(directory)
    await folder.sync()
    await folder.close()
    synced.push({ name, content, moment: recording.now })
    await writeFile(join(directory, 'unsynced'), 'y'.repeat(random.below(100_000)))
  }
  return synced
}

/** Each change that may be lost is, or is not, by itself. */
function someOf(changes: readonly RecordedChange[], random: Random): RecordedChange[] {
  const share = random.below(4)
  return changes.filter(() => random.below(3) < share)
}

/** Mounting would replay the journal; then the file system has to be without a fault, and the synced files whole. */
async function checkImage(image: string, synced: readonly Synced[], what: string): Promise<void> {
  const replay = await run('e2fsck', ['-y', '-E', 'journal_only', image])
  assert.ok((replay.code ?? 8) < 4, `${what}: the journal cannot be replayed: ${replay.stdout}`)
  const check = await run('e2fsck', ['-fn', image])
  assert.equal(check.code, 0, `${what}: ${check.stdout}`)
  for (const { name, content } of synced.slice(-5)) {
    const { stdout } = await succeed('debugfs', ['-R', `cat /${name}`, image])
    assert.ok(stdout === content, `${what}: ${name} has ${stdout.length} of ${content.length} characters`)
  }
}

/** The check itself is checked: a disk that lost writes which a flush covers does not pass. */
async function noticesLoss(recording: Recording, image: string, synced: readonly Synced[], random: Random) {
  const bytes = Buffer.alloc(SIZE)
  const { certain } = recording.at(recording.now)
  applyChanges(
    bytes,
    certain.filter(() => random.below(3) > 0),
  )
  await writeFile(image, bytes)
  await assert.rejects(checkImage(image, synced, 'a disk that lost writes'))
}

test(`ext4 survives a power cut at flush points and at random legal subsets of the writes between them (seed ${SEED})`, {
  timeout: longest(600_000),
}, async (t) => {
  if (!requireTool(t, ...MOUNT_TOOLS, 'e2fsck', 'debugfs')) return
  const random = new Random(SEED)
  const recording = new Recording()
  const device = recording.around(new MemoryDevice({ sizeBytes: SIZE }))
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-crash-'))
  let synced: Synced[] = []
  let mountedAt = 0
  try {
    const server = await serveNbd(deviceExports([{ name: 'vol', device }]), { listen: '127.0.0.1:0' })
    try {
      await withMounted(`${server.addresses[0]?.uri}/vol`, directory, { format: 'ext4' }, async (mounted) => {
        mountedAt = recording.now
        synced = await work(mounted, recording, random)
      })
    } finally {
      await server.close()
    }
    const points = recording.flushes.flatMap(({ ended }) =>
      ended !== undefined && ended > mountedAt ? [ended + 1] : [],
    )
    assert.ok(points.length >= FILES, `${points.length} flushes reached the device`)
    const wanted = IMAGES === 'all' ? points.length : Number(IMAGES)
    const image = join(directory, 'image')
    for (let index = 0; index < wanted; index++) {
      const flush = IMAGES === 'all' ? index : Math.floor((index * points.length) / wanted)
      const next = points[flush + 1] ?? recording.now
      const from = points[flush] as number
      // Every other image is from between this flush and the next one.
      const moment = index % 2 === 0 ? from : from + random.below(next - from)
      const { certain, possible } = recording.at(moment)
      const kept = someOf(possible, random)
      const bytes = Buffer.alloc(SIZE)
      applyChanges(bytes, [...certain, ...kept])
      await writeFile(image, bytes)
      const what = `moment ${moment} with ${kept.length} of ${possible.length} writes that may be lost (seed ${SEED})`
      const before = synced.filter((file) => file.moment <= moment)
      await checkImage(image, before, what)
    }
    await noticesLoss(recording, image, synced, random)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
