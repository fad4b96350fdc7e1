import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest } from '../kit/deadline.ts'
import { DevCluster } from '../kit/dev-cluster.ts'

const BLOCK = 4096
const SIZE = 64 * 2 ** 20

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
})
after(() => cluster?.stop())

interface Report {
  readonly certain: boolean
  readonly extents: { readonly certain: number; readonly uncertain: readonly { readonly extent: number }[] }
}

test('an image of data directories, with every node killed, has all that was acknowledged, and says when that is not proven', {
  timeout: longest(120_000),
}, async () => {
  // One in a hundred blocks: the rest has to be a hole of the image.
  const written = new Map(
    Array.from({ length: 160 }, (_, at) => [at * 100 * BLOCK, new Uint8Array(randomBytes(BLOCK))] as const),
  )
  {
    await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
    await using volume = await client.openVolume('demo')
    await Promise.all([...written].map(([offset, bytes]) => volume.write(offset, bytes)))
  }
  await cluster.healthy('demo')
  const directories = cluster.info.nodes.map(({ dataDir }) => dataDir)
  const exportTo = async (name: string, from: readonly string[]) => {
    const file = join(cluster.directory, name)
    const { code, stdout, stderr } = await cluster.cli([
      'replica',
      'export',
      'demo',
      file,
      '--from',
      from.join(),
      '-o',
      'json',
    ])
    return { code, stderr, file, report: code === 4 ? undefined : (JSON.parse(stdout) as Report) }
  }

  const running = await exportTo('running.img', directories)
  assert.equal(running.code, 4, 'no image is made of a directory that a node writes to')
  assert.match(running.stderr, /in use by another process/)

  await Promise.all(cluster.info.nodes.map(({ id }) => cluster.kill(id)))
  const whole = await exportTo('whole.img', directories)
  assert.equal(whole.code, 0, whole.stderr)
  assert.deepEqual([whole.report?.certain, whole.report?.extents.uncertain], [true, []])
  const image = await readFile(whole.file)
  const expected = Buffer.alloc(SIZE)
  for (const [offset, bytes] of written) expected.set(bytes, offset)
  assert.ok(image.equals(expected))
  assert.ok((await stat(whole.file)).blocks * 512 < SIZE / 4, 'the image has holes')

  const one = await exportTo('one.img', directories.slice(0, 1))
  assert.equal(one.code, 8, 'two stores that are absent may have gone on')
  assert.equal(one.report?.certain, false)
  assert.ok((await readFile(one.file)).equals(expected))
})
