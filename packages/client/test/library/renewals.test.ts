import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '@ashlar/client'
import { FEATURES, TIMERS } from '@ashlar/proto'
import { FakeCluster } from '../kit/fake-cluster.ts'

const PAUSE_MS = 200

test('an attachment is renewed although calls follow each other within a second', async (t) => {
  await using cluster = await FakeCluster.start(1)
  cluster.featureLevel = FEATURES.attachPolicies
  cluster.create('demo', 16 * 1024 * 1024)
  t.mock.timers.enable({ apis: ['setInterval'] })
  await using client = await connect({ servers: cluster.servers })
  await using volume = await client.openVolume('demo')
  for (let passedMs = 0; passedMs < TIMERS.holderRenewMs; passedMs += PAUSE_MS) {
    await volume.read(0, 4096)
    t.mock.timers.tick(PAUSE_MS)
  }
  // A response to this read comes after what was sent before it.
  await volume.read(0, 4096)
  const commands = cluster
    .node(0)
    .requests('admin')
    .map(({ command }) => command.do)
  assert.ok(commands.includes('renew-attachment'), commands.join(', '))
})
