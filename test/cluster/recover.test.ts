import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import { argumentsOf, commandsOf } from '../kit/todo.ts'

const BLOCK = 4096
const BLOCKS = 64

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
})
after(() => cluster?.stop())

interface Recovery {
  readonly generation: number
  readonly certain: readonly string[]
  readonly uncertain: readonly { readonly extent: string; readonly absentNodes: readonly string[] }[]
  readonly todo: readonly string[]
  readonly missing: readonly string[]
}

/** Servers that the library dials: the peers' own addresses. */
const servers = () => cluster.info.nodes.map((node) => node.peer)

async function writeBlocks(blocks: readonly Uint8Array[]): Promise<void> {
  await using client = await connect({ servers: servers(), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  await Promise.all(blocks.map((bytes, block) => volume.write(block * BLOCK, bytes)))
}

async function readBlocks(): Promise<Uint8Array[]> {
  await using client = await connect({ servers: servers(), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo', { mode: 'read-only' })
  return await Promise.all(Array.from({ length: BLOCKS }, (_, block) => volume.read(block * BLOCK, BLOCK)))
}

test('amendment 16: with 2 of 3 voters wiped the map is rebuilt from the third, and every acknowledged write is there', {
  timeout: longest(240_000),
}, async () => {
  const blocks = Array.from({ length: BLOCKS }, () => new Uint8Array(randomBytes(BLOCK)))
  await writeBlocks(blocks)
  await cluster.healthy('demo')
  const [first, second, third] = cluster.info.nodes
  assert.ok(first !== undefined && second !== undefined && third !== undefined)

  const running = await cluster.cli(['cluster', 'recover', '--from', third.dataDir])
  assert.equal(running.code, 4, 'a directory that a node runs over is not touched')
  const stop = `ashlar dev stop ${third.id} --data-dir ${cluster.directory}`
  assert.ok(
    running.stderr.includes(`${third.id} runs over it as process ${third.pid} (stop it: ${stop})`),
    running.stderr,
  )

  await Promise.all(cluster.info.nodes.map(({ id }) => cluster.kill(id)))
  for (const { dataDir } of [first, second]) await rm(dataDir, { recursive: true })

  const asked = await cluster.cli(['cluster', 'recover', '--from', third.dataDir, '-o', 'json'])
  assert.equal(asked.code, 4, asked.stderr)
  const plan = JSON.parse(asked.stdout) as Recovery
  assert.deepEqual([plan.generation, plan.certain, plan.missing], [1, [], []])
  assert.equal(plan.uncertain[0]?.extent, 'demo/0')
  assert.deepEqual(plan.uncertain[0]?.absentNodes, ['n1', 'n2'], 'both were in sync and may have gone on without n3')

  const again = commandsOf(plan.todo)
  assert.deepEqual(again, [`ashlar cluster recover --from ${third.dataDir} --yes`])
  const done = await cluster.cli(argumentsOf(again[0] ?? ''))
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /generation 1: everything older is fenced/)
  const left = commandsOf(done.stdout.split('\n').map((line) => line.trim()))
  assert.deepEqual(left.slice(0, 2), [
    `ashlar dev start n3 n1 n2 gateway --data-dir ${cluster.directory}`,
    `ashlar volume acknowledge-loss demo --data-dir ${cluster.directory}`,
  ])

  for (const { id } of cluster.info.nodes) cluster.start(id)
  // The two that were wiped come back at addresses that the map knows, and take the places of the stores that were there.
  const extents = await cluster.healthy('demo', 120_000, third.api)
  assert.ok(
    extents.every(({ epoch }) => epoch >= 2 ** 32),
    'epochs belong to the new generation',
  )
  const read = await readBlocks()
  for (const [block, bytes] of blocks.entries()) assert.deepEqual(Buffer.from(read[block] ?? []), Buffer.from(bytes))

  const volumes = await cluster.json<{ name: string; state: string }[]>(['volume', 'ls'], third.api)
  assert.equal(volumes[0]?.state, 'degraded', 'the loss is possible until a person says that it is known')
  const { code } = await cluster.cli(['volume', 'acknowledge-loss', 'demo'], { server: third.api })
  assert.equal(code, 0)
  await eventually('the volume is healthy', async () => {
    const [volume] = await cluster.json<{ state: string }[]>(['volume', 'ls'], third.api)
    return volume?.state === 'healthy' ? true : undefined
  })
  await eventually('n1 and n2 vote again by themselves', async () => {
    const { voters } = await cluster.json<{ voters: string[] }>(['cluster', 'info'], third.api)
    return voters.toSorted().join() === 'n1,n2,n3' ? true : undefined
  })
  await writeBlocks(blocks.map(() => new Uint8Array(randomBytes(BLOCK))))
})
