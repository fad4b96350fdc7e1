import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest, Watch } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import { FREEZE_TOOLS, FreezableDisk } from '../kit/freezable-disk.ts'
import { skipWithout } from '../kit/tools.ts'
import { takeRole } from './stalls/trial.ts'

const BLOCK = 4096
const BLOCKS = 64
const LANES = 4
/** Writes that are acknowledged while the disk hangs: the cluster goes on without it. */
const WRITES_ON = 200
const LONGEST_STALL_MS = 10_000
/** How long each disk hangs. Absent: until writes have gone on, which is what a test run has time for. */
const HANG_SECONDS = Number(process.env['ASHLAR_HANG_SECONDS'] ?? 0)

const skip = skipWithout(...FREEZE_TOOLS)
const disks = new Map<string, FreezableDisk>()
let directory = ''
let cluster: DevCluster | undefined

before(async () => {
  if (skip !== false) return
  directory = await mkdtemp(join(tmpdir(), 'ashlar-hang-'))
  for (const id of ['n1', 'n2', 'n3'])
    disks.set(id, await FreezableDisk.mount(join(directory, id), join(directory, `${id}.img`), 384))
  cluster = await DevCluster.start({ size: '64Mi', directory })
})
after(async () => {
  for (const disk of disks.values()) await disk.thaw()
  await cluster?.stop({ keep: true })
  for (const disk of disks.values()) await disk.unmount()
  if (directory !== '') await rm(directory, { recursive: true })
})

/** Writes of the library, several at once, each to blocks of its own; what each block holds, and the longest write. */
class Writing {
  readonly last = new Map<number, Uint8Array>()
  acknowledged = 0
  longestMs = 0
  #stopped = false
  readonly #begunAt = new Map<number, number>()

  async run(peers: readonly string[]): Promise<void> {
    await using client = await connect({ servers: peers, ioTimeoutMs: 60_000 })
    await using volume = await client.openVolume('demo')
    const lane = async (first: number): Promise<void> => {
      for (let block = first; !this.#stopped; block = (block + LANES) % BLOCKS) {
        const bytes = new Uint8Array(randomBytes(BLOCK))
        this.#begunAt.set(first, performance.now())
        await volume.write(block * BLOCK, bytes)
        this.last.set(block, bytes)
        this.acknowledged += 1
        this.longestMs = Math.max(this.longestMs, performance.now() - (this.#begunAt.get(first) ?? 0))
      }
    }
    await Promise.all(Array.from({ length: LANES }, (_, first) => lane(first)))
    for (const [block, bytes] of this.last)
      assert.deepEqual(Buffer.from(await volume.read(block * BLOCK, BLOCK)), Buffer.from(bytes))
  }

  stop(): void {
    this.#stopped = true
  }
}

for (const role of ['replica', 'leader', 'primary'] as const) {
  test(`the disk of the ${role === 'leader' ? 'leader of control' : role} hangs: writes are held up for less than 10 s`, {
    timeout: longest(180_000),
    skip,
  }, async (t) => {
    assert.ok(cluster !== undefined)
    const victim = await takeRole(cluster, role)
    const disk = disks.get(victim)
    assert.ok(disk !== undefined)
    using machine = new Watch()
    const writing = new Writing()
    const done = writing.run(cluster.info.nodes.map(({ peer }) => peer))
    const written = (count: number): Promise<true> =>
      eventually(`${count} writes`, async () => writing.acknowledged >= count || undefined, 60_000)
    await Promise.race([written(WRITES_ON), done])
    await disk.freeze()
    try {
      const frozenAt = performance.now()
      await written(writing.acknowledged + WRITES_ON)
      await eventually(
        'the disk has hung for as long as it is to hang',
        async () => performance.now() - frozenAt >= HANG_SECONDS * 1000 || undefined,
        HANG_SECONDS * 2000 + 1000,
      )
    } finally {
      await disk.thaw()
    }
    writing.stop()
    await done
    const server = cluster.info.nodes.find(({ id }) => id !== victim)?.api
    await cluster.healthy('demo', 60_000, server)
    t.diagnostic(`longest write ${writing.longestMs.toFixed(0)} ms, ${writing.acknowledged} writes`)
    machine.assertBelow(LONGEST_STALL_MS, writing.longestMs, 'the longest write')
    const check = await cluster.cli(['cluster', 'check', '--deep'])
    assert.equal(check.code, 0, check.stdout + check.stderr)
  })
}
