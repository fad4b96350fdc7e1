import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { type Client, connect, type Volume } from '@ashlar/client'
import { AshlarError } from '@ashlar/proto'
import { Deadline, longest } from '../kit/deadline.ts'
import { DevCluster, eventually, run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { nbdsh } from '../nbd/gateway-process.ts'
import { SmallDisk } from './small-disk.ts'

/**
 * Three real nodes on file systems of their own, which run full: amendment 17 with nothing played. What was
 * acknowledged is remembered, and read back whenever something changed.
 */

const MIB = 2 ** 20
const PIECE = 256 * 1024
/** n2 has the smallest disk; the volume is larger than all of them. */
const SIZES = { n1: 400, n2: 224, n3: 400 } as const
const VOLUME_MIB = 512
/** Holds the whole volume. */
const LARGE_MIB = 600
/** Of a disk: just less than the last reserve of one of this size, with space left for the compactions of LevelDB. */
const SHORT_SHARE = 0.17
const ENOSPC = 28

/** Writes 64 KiB after the other, new or old, until one is refused; the last piece of the volume stays unwritten. */
const nbdWritesUntilRefused = (uri: string, first: number): string => `
from errno import *
h.connect_uri("${uri}")
offset = ${first}
try:
    while offset < ${VOLUME_MIB * MIB - PIECE}:
        h.pwrite(b"x" * 65536, offset)
        offset += 65536
    raise AssertionError("the volume was written to its end, and no disk was full")
except nbd.Error as error:
    assert error.errnum == ENOSPC, error
h.shutdown()
`

interface NodeLine {
  readonly id: string
  readonly startCounter: number
  readonly space: { readonly level: string; readonly freeBytes: number } | null
}

const disks = new Map<string, SmallDisk>()
let missing: string | undefined
let directory: string
let cluster: DevCluster
let client: Client
let volume: Volume
/** Content of every piece that was acknowledged, by number; undefined: discarded. */
const written = new Map<number, Uint8Array | undefined>()

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ashlar-full-disks-'))
  for (const [id, mebibytes] of Object.entries(SIZES)) {
    const disk = await SmallDisk.mount(join(directory, id), mebibytes)
    if ('missing' in disk) missing = disk.missing
    else disks.set(id, disk)
  }
  if (missing !== undefined) return
  cluster = await DevCluster.start({ size: `${VOLUME_MIB}Mi`, directory })
  client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  volume = await client.openVolume('demo')
})
after(async () => {
  await client?.close()
  await cluster?.stop({ keep: true })
  for (const disk of disks.values()) disk.unmount()
  await rm(directory, { recursive: true, force: true })
})

function skipped(t: TestContext, ...tools: string[]): boolean {
  if (missing !== undefined) t.skip(missing)
  return missing !== undefined || !requireTool(t, ...tools)
}

function disk(id: string): SmallDisk {
  const found = disks.get(id)
  assert.ok(found !== undefined)
  return found
}

/** The first piece that was not written yet. */
function firstNew(): number {
  return Math.max(-1, ...written.keys()) + 1
}

/** Writes new pieces until one is refused for lack of space; gives its number and the error. */
async function writeUntilRefused(): Promise<{ piece: number; error: AshlarError }> {
  for (let next = firstNew(); next < (VOLUME_MIB * MIB) / PIECE; next++) {
    const bytes = new Uint8Array(randomBytes(PIECE))
    try {
      await volume.write(next * PIECE, bytes)
    } catch (error) {
      assert.ok(error instanceof AshlarError && error.code === 'NO_SPACE', String(error))
      return { piece: next, error }
    }
    written.set(next, bytes)
  }
  assert.fail('the volume was written to its end, and no disk was full')
}

/**
 * Repeats `fill`, which ends with a refused write, until `explain` and `node ls` say at one moment that these nodes are
 * short of space: what LevelDB merges gives some back at any time, and then there is more to write. Gives what `fill`
 * gave last.
 */
async function fillUntilShort<T>(ids: readonly string[], fill: () => Promise<T>): Promise<T & { explained: string }> {
  using deadline = new Deadline(120_000)
  for (;;) {
    const filled = await fill()
    const { stdout: explained } = await cluster.cli(['explain', 'volume', 'demo'])
    const { stdout: listed } = await cluster.cli(['node', 'ls'])
    const isShort = (id: string): boolean =>
      new RegExp(`${id} has been (?:tight|full) since .*MiB of its disk is free.*ENOSPC`).test(explained) &&
      new RegExp(`SPACE[^]*^${id} .*(?:filling|tight|full)`, 'm').test(listed)
    if (ids.every(isShort)) return { ...filled, explained }
    assert.ok(!deadline.passed, `${deadline.missed(`${ids.join()} are short of room`)}\n${explained}\n${listed}`)
  }
}

/** Writes one piece, which must succeed within the deadline: refused ones are tried again, as a program would. */
async function writeOnceThereIsRoom(piece: number): Promise<void> {
  const bytes = new Uint8Array(randomBytes(PIECE))
  await eventually(
    `piece ${piece} is written once there is room`,
    async () => {
      await volume.write(piece * PIECE, bytes)
      return true
    },
    120_000,
  )
  written.set(piece, bytes)
}

async function trim(piece: number, pieces: number): Promise<void> {
  await volume.trim(piece * PIECE, pieces * PIECE)
  for (let at = piece; at < piece + pieces; at++) written.set(at, undefined)
}

async function assertAllThere(when: string): Promise<void> {
  for (const [piece, bytes] of written) {
    const read = await volume.read(piece * PIECE, PIECE)
    assert.equal(Buffer.compare(read, bytes ?? new Uint8Array(PIECE)), 0, `piece ${piece}, ${when}`)
  }
}

async function nodes(): Promise<Map<string, NodeLine>> {
  return new Map((await cluster.json<NodeLine[]>(['node', 'ls'])).map((node) => [node.id, node]))
}

/** No store left an in-sync set, no process ended, no disk reached its end. */
async function assertUnharmed(): Promise<void> {
  for (const { replicas } of await cluster.extents())
    for (const { node, standing } of replicas) assert.equal(standing, 'in-sync', node)
  for (const { id, startCounter } of (await nodes()).values()) {
    assert.equal(startCounter, 1, `${id} did not restart`)
    assert.ok((await disk(id).freeBytes()) > MIB, `${id} kept room for LevelDB`)
  }
}

test('one disk of three runs full: the library gets NO_SPACE, reads and trims go on, and so do writes after a trim', {
  timeout: longest(240_000),
}, async (t) => {
  if (skipped(t)) return
  const refused = await fillUntilShort(['n2'], writeUntilRefused)
  assert.doesNotMatch(refused.explained, /n1 has been/)
  assert.equal(refused.error.retry, 'never')
  assert.equal(refused.error.details['indeterminate'], false)
  assert.ok(
    refused.piece * PIECE > 60 * MIB,
    `refused after ${(refused.piece * PIECE) / MIB} MiB of a disk of ${SIZES.n2}`,
  )
  await assertAllThere('while n2 has no room')
  await assertUnharmed()

  await trim(0, Math.floor(refused.piece * 0.75))
  await writeOnceThereIsRoom(refused.piece)
  await assertAllThere('after a trim')
  await assertUnharmed()
})

test('all disks run full: NBD clients get ENOSPC, and all go on when the disks are enlarged', {
  timeout: longest(240_000),
}, async (t) => {
  if (skipped(t, 'fio', 'nbdsh')) return
  const first = firstNew() * PIECE
  // A gateway takes no volume from a client that control hears of.
  await volume.close()
  const fio = await run('fio', [
    ...['--name=fill', '--ioengine=nbd', `--uri=${cluster.nbdUri}`, '--rw=write', '--bs=64k', '--iodepth=16'],
    ...[`--offset=${first}`, `--size=${VOLUME_MIB * MIB - first}`, '--output-format=json'],
  ])
  const { jobs } = JSON.parse(fio.stdout.slice(fio.stdout.indexOf('{'))) as { jobs: { error: number }[] }
  assert.equal(jobs[0]?.error, ENOSPC, fio.stderr)
  await fillUntilShort(['n1', 'n2', 'n3'], async () => {
    // One full disk has all writes refused, and keeps the others from running full: they lose what they have left.
    for (const small of disks.values()) await small.leaveFree(SHORT_SHARE)
    await nbdsh(nbdWritesUntilRefused(cluster.nbdUri, first))
    return {}
  })
  await nbdsh(`
h.connect_uri("${cluster.nbdUri}")
end = ${VOLUME_MIB * MIB - PIECE}
assert h.pread(65536, end) == bytes(65536)
h.trim(65536, end)
h.flush()
h.shutdown()
`)
  volume = await client.openVolume('demo')
  await assertAllThere('while all disks are full')
  await assertUnharmed()
  for (const small of disks.values()) small.resize(LARGE_MIB)
  await writeOnceThereIsRoom((VOLUME_MIB * MIB) / PIECE - 1)
  await assertAllThere('on larger disks')
  await assertUnharmed()
})

test('a node whose disk others filled to the last byte while it was down starts, says so, and catches up once there is room', {
  timeout: longest(240_000),
}, async (t) => {
  if (skipped(t)) return
  const last = (VOLUME_MIB * MIB) / PIECE - 1
  for (const small of disks.values()) small.resize(LARGE_MIB)
  volume = await client.openVolume('demo')
  await cluster.kill('n3')
  const howToFreeSpace = await disk('n3').fillUp()
  assert.equal(await disk('n3').freeBytes(), 0)
  await writeOnceThereIsRoom(last - 1)
  cluster.start('n3')
  const line = await eventually('n3 is up again', async () => {
    const node = (await nodes()).get('n3')
    return node?.startCounter === 2 && node.space !== null ? node : undefined
  })
  assert.equal(line.space?.level, 'full')
  await eventually('explain reports the stores that wait for space', async () => {
    const { stdout } = await cluster.cli(['explain', 'extent', `demo/${(await cluster.extents()).length - 1}`])
    return /n3 has been full since/.test(stdout) ? true : undefined
  })
  await assertAllThere('while n3 is full')
  await howToFreeSpace()
  await cluster.healthy('demo', 120_000)
  await assertAllThere('once n3 caught up')
  const check = await cluster.cli(['cluster', 'check', '--deep'])
  assert.equal(check.code, 0, check.stdout + check.stderr)
  const healed = (await nodes()).get('n3')
  assert.equal(healed?.startCounter, 2, 'it did not end once more')
  assert.match(healed?.space?.level ?? '', /^(?:free|filling)$/)
})
