import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { longest } from '../kit/deadline.ts'
import { DevCluster } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { succeed } from './client-runs.ts'
import { REQUEST_SCENARIOS } from './filter-scenarios.ts'
import { nbdsh } from './gateway-process.ts'
import { MOUNT_TOOLS, withMounted } from './mounted.ts'
import { runScenario, SCENARIOS } from './scenarios.ts'

const MIB = 1024 * 1024
const VOLUME_MIB = 768
const IMAGE_MIB = 512
const FILES = 3000

let cluster: DevCluster
let directory: string
before(async () => {
  cluster = await DevCluster.start({ size: `${VOLUME_MIB}Mi` })
  directory = await mkdtemp(join(tmpdir(), 'ashlar-clients-'))
})
after(async () => {
  await cluster?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
})

async function sha256(file: string, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { end: bytes - 1 })) hash.update(chunk)
  return hash.digest('hex')
}

/** An ext4 image with thousands of real files in it, made without mounting anything. */
async function makeImage(image: string): Promise<void> {
  const tree = join(directory, 'tree')
  for (let at = 0; at < FILES; at++) {
    const folder = join(tree, `${at % 50}`)
    if (at < 50) await mkdir(folder, { recursive: true })
    const seed = createHash('sha256').update(`${at}`).digest()
    await writeFile(join(folder, `file-${at}`), Buffer.alloc(1000 + ((at * 7919) % 60_000), seed))
  }
  await succeed('mkfs.ext4', ['-q', '-F', '-d', tree, image, `${IMAGE_MIB}M`])
}

for (const scenario of [...SCENARIOS, ...REQUEST_SCENARIOS])
  test(`on a cluster: ${scenario.name}`, { timeout: longest(240_000) }, (t) =>
    runScenario(t, scenario, { uri: cluster.nbdUri, sizeBytes: VOLUME_MIB * MIB }),
  )

test('requests over the edge of two extents, aligned or not, are one request to the client', {
  timeout: longest(120_000),
}, async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  const extents = await cluster.extents()
  const edge = (VOLUME_MIB / extents.length) * MIB
  assert.ok(extents.length > 1)
  await nbdsh(`
h.connect_uri("${cluster.nbdUri}")
for before, length in ((1, 2), (4095, 8191), (4096, 8192), (16 << 20, 32 << 20)):
    offset = ${edge} - before
    data = (b"%08x" % before) * (length // 8 + 1)
    h.pwrite(data[:length], offset)
    assert h.pread(length, offset) == data[:length], before
    h.zero(2, ${edge} - 1)
    assert h.pread(2, ${edge} - 1) == b"\\0\\0"
h.trim(32 << 20, ${edge} - (16 << 20))
assert h.pread(32 << 20, ${edge} - (16 << 20)) == bytes(32 << 20)
h.shutdown()
`)
})

test('an ext4 image with thousands of files goes in by nbdcopy and comes back byte for byte', {
  timeout: longest(300_000),
}, async (t) => {
  if (!requireTool(t, 'nbdcopy', 'mkfs.ext4', 'e2fsck')) return
  const image = join(directory, 'image.ext4')
  const copy = join(directory, 'copy.ext4')
  await makeImage(image)
  await succeed('nbdcopy', ['--flush', image, cluster.nbdUri])
  await succeed('nbdcopy', [cluster.nbdUri, copy])
  assert.equal(await sha256(copy, IMAGE_MIB * MIB), await sha256(image, IMAGE_MIB * MIB))
  await succeed('e2fsck', ['-fn', copy])
})

test('nbdfuse and a loop device mount the volume as ext4, and files survive an unmount', {
  timeout: longest(240_000),
}, async (t) => {
  if (!requireTool(t, ...MOUNT_TOOLS)) return
  const content = Buffer.alloc(3 * MIB, createHash('sha256').update('content').digest())
  await withMounted(cluster.nbdUri, directory, { format: 'ext4' }, (mounted) =>
    writeFile(join(mounted, 'kept'), content),
  )
  await withMounted(cluster.nbdUri, directory, {}, async (mounted) => {
    assert.equal(
      await sha256(join(mounted, 'kept'), content.length),
      createHash('sha256').update(content).digest('hex'),
    )
  })
})
