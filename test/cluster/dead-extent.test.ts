import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connect, type Volume } from '@ashlar/client'
import { longest, Watch } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const MIB = 1024 * 1024
const BLOCK = 4096
const EXTENT = 16 * MIB
const BLOCKS = EXTENT / BLOCK
/** More than may be unresolved at once, three times. */
const WRITES = 3072
const AT_ONCE = 16

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '16Mi' })
})
after(() => cluster?.stop())

/** A volume with one replica of each of its two extents, on two nodes of which the first does not lead control. */
async function createApart(): Promise<{ name: string; dead: string; deadExtent: number }> {
  const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
  for (let attempt = 0; attempt < 10; attempt++) {
    const name = `apart-${attempt}`
    const shape = ['--size', '32Mi', '--extent-size', '16Mi', '--replicas', '1']
    const created = await cluster.cli(['volume', 'create', name, ...shape])
    assert.equal(created.code, 0, created.stderr)
    const [first, second] = await cluster.healthy(name)
    assert.ok(first !== undefined && second !== undefined)
    if (first.primary === second.primary) continue
    const deadExtent = first.primary === leader ? 1 : 0
    return { name, dead: (deadExtent === 0 ? first : second).primary, deadExtent }
  }
  throw new Error('no volume has its extents on two nodes')
}

/** Writes all over an extent, some at once; the milliseconds that the longest of them took. */
async function longestOf(volume: Volume, extent: number, writes: number): Promise<number> {
  let longestMs = 0
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < writes) {
      const block = next++ % BLOCKS
      const begun = performance.now()
      await volume.write(extent * EXTENT + block * BLOCK, new Uint8Array(BLOCK).fill(block))
      longestMs = Math.max(longestMs, performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, writer))
  return longestMs
}

test('one dead extent of two: the other one is written to as if nothing were, however much is stuck', {
  timeout: longest(60_000),
}, async (t) => {
  const { name, dead, deadExtent } = await createApart()
  const servers = cluster.info.nodes.filter(({ id }) => id !== dead).map(({ peer }) => peer)
  await using client = await connect({ servers, ioTimeoutMs: 30_000 })
  const volume = await client.openVolume(name)
  const other = 1 - deadExtent
  await volume.write(deadExtent * EXTENT, new Uint8Array(BLOCK).fill(1))
  t.diagnostic(`before: the longest of 256 writes took ${(await longestOf(volume, other, 256)).toFixed(0)} ms`)
  await cluster.kill(dead)

  // More than the window of an extent, and than its share of the bytes in flight.
  const stop = new AbortController()
  const { signal } = stop
  const stuck: Promise<unknown>[] = []
  for (let at = 0; at < 1100; at++) {
    stuck.push(volume.read(deadExtent * EXTENT + at * BLOCK, BLOCK, { signal }))
    stuck.push(volume.write(deadExtent * EXTENT + at * BLOCK, new Uint8Array(BLOCK), { signal }))
  }
  for (let at = 0; at < 64; at++) {
    stuck.push(volume.write(deadExtent * EXTENT + (at % 16) * MIB, new Uint8Array(MIB), { signal }))
  }
  const ended = Promise.allSettled(stuck)
  using machine = new Watch()
  const longestMs = await longestOf(volume, other, WRITES)
  t.diagnostic(`beside a dead extent: the longest of ${WRITES} took ${longestMs.toFixed(0)} ms`)
  machine.assertBelow(2000, longestMs, 'the longest write beside a dead extent')
  stop.abort()
  assert.ok(
    (await ended).every(({ status }) => status === 'rejected'),
    'no node answered for the dead one',
  )

  cluster.start(dead)
  await eventually('the dead one is back', async () => {
    await volume.write(deadExtent * EXTENT, new Uint8Array(BLOCK).fill(2))
    return true
  })
  await volume.close()
})
