import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '@ashlar/client'
import { FakeCluster } from './kit/fake-cluster.ts'

test('bytes that were written are read back, over extents and unaligned', async () => {
  await using cluster = await FakeCluster.start()
  await using client = await connect({ servers: cluster.servers })
  const info = await client.admin.create({ name: 'demo', sizeBytes: 48 << 20, extentSizeBytes: 16 << 20 })
  assert.equal(info.state, 'healthy')
  const volume = await client.openVolume('demo')
  const bytes = Uint8Array.from({ length: 5_000_000 }, (_, i) => i * 7)
  await volume.write((16 << 20) - 2_222_222, bytes)
  assert.deepEqual(await volume.read((16 << 20) - 2_222_222, bytes.length), bytes)
  await volume.flush()
  await volume.close()
})
