import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { longest } from '../../kit/deadline.ts'
import { DevCluster } from '../../kit/dev-cluster.ts'
import { FREEZE_TOOLS, FreezableDisk } from '../../kit/freezable-disk.ts'
import { skipWithout } from '../../kit/tools.ts'
import { SmallDisk } from '../../storage/small-disk.ts'
import { Operator, readPage } from './drill.ts'

const LEFT_BYTES = 24 * 2 ** 20
const skip = skipWithout(...FREEZE_TOOLS)
let directory = ''
let small: SmallDisk
let freezable: FreezableDisk
let cluster: DevCluster | undefined
let operator: Operator
before(async () => {
  if (skip !== false) return
  directory = await mkdtemp(join(tmpdir(), 'ashlar-drill-'))
  const mounted = await SmallDisk.mount(join(directory, 'n3'), 400)
  assert.ok(mounted instanceof SmallDisk, 'a tmpfs')
  small = mounted
  freezable = await FreezableDisk.mount(join(directory, 'n2'), join(directory, 'n2.img'), 384)
  cluster = await DevCluster.start({ size: '64Mi', directory })
  operator = await Operator.at(cluster)
})
after(async () => {
  await freezable?.thaw()
  await operator?.leave()
  await cluster?.stop({ keep: true })
  await freezable?.unmount()
  small?.unmount()
  if (directory !== '') await rm(directory, { recursive: true })
})

function node(id: string): DevCluster['info']['nodes'][number] {
  assert.ok(cluster !== undefined)
  return cluster.node(id)
}

async function pidOf(id: string): Promise<number> {
  const { pid } = (await (await fetch(`${node(id).api}/v1/local`)).json()) as { pid: number }
  return pid
}

/** Flips a bit in each of these blocks wherever LevelDB keeps it; how many blocks were found. */
async function damageTables(database: string, blocks: readonly Uint8Array[]): Promise<number> {
  const found = new Set<Uint8Array>()
  for (const name of await readdir(database)) {
    if (!/\.ldb$/.test(name)) continue
    const path = join(database, name)
    const bytes = await readFile(path)
    for (const block of blocks) {
      const at = bytes.indexOf(block.subarray(0, 64))
      if (at < 0) continue
      bytes[at] = (bytes[at] ?? 0) ^ 1
      found.add(block)
    }
    await writeFile(path, bytes)
  }
  return found.size
}

const page = (name: string, names: Readonly<Record<string, string>> = {}) =>
  readPage(name, { DIR: directory, ...names })

test('another program fills a disk', { timeout: longest(60_000), skip }, async () => {
  await operator.writeData()
  // Less than its last reserve is left, but what LevelDB writes meanwhile has space.
  const file = join(small.place, 'other-file')
  await writeFile(file, Buffer.alloc((await small.freeBytes()) - LEFT_BYTES, 1))
  await operator.see('ashlar cluster info', /df -h/)
  await operator.follow(await page('disk-full'), { own: [/^rm /] })
  await operator.assertData()
})

test('a disk that hangs', { timeout: longest(60_000), skip }, async () => {
  await operator.writeData()
  await freezable.freeze()
  // Control's log waits for the disk from the next entry on.
  await operator.type('ashlar volume create other --size 16Mi')
  await operator.see('ashlar explain node n2', /has not completed a write/)
  const pid = await pidOf('n2')
  await operator.follow(await page('disk-hangs', { PID: `${pid}` }), { own: [/^fsfreeze /] })
  await operator.assertData()
  await operator.type('ashlar volume rm other')
})

test('damaged bytes in more blocks than a disk may damage', { timeout: longest(60_000), skip }, async () => {
  const written = await operator.writeData()
  const restart = (verb: string) => operator.type(`ashlar dev ${verb} n1 --data-dir ${directory}`)
  // What is in the log of LevelDB is in a table after the next start.
  await restart('stop')
  await restart('start')
  await operator.see('ashlar cluster info', /^State: +healthy/m)
  await restart('stop')
  assert.equal(await damageTables(join(node('n1').dataDir, 'store/db'), written.slice(0, 24)), 24)
  await restart('start')
  await operator.see('ashlar cluster info', /^State: +healthy/m)
  await operator.type('ashlar cluster check --deep', [8])
  await operator.see('ashlar cluster info', /n1 is down[\s\S]*dev start n1/)
  await operator.follow(await page('store-damaged'))
  await operator.assertData()
})

test('no majority, and the directories of the others are gone', { timeout: longest(60_000), skip }, async () => {
  await operator.type('ashlar cluster wait --for healthy --timeout 60s', [0, 5, 6])
  await operator.writeData()
  for (const id of ['n1', 'n2']) {
    process.kill(await pidOf(id), 'SIGKILL')
    await rm(join(node(id).dataDir, 'store'), { recursive: true })
  }
  await operator.see('ashlar cluster info', /cut off/)
  await operator.follow(await page('no-majority'), { exits: { [`recover --from ${directory}/n3`]: 4 } })
  await operator.assertData()
})
