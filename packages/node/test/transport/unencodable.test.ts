import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterId, ExtentRecord, MapDelta, VolumeId } from '@ashlar/proto'
import { listening, RawPeer } from './raw-peer.ts'

/** More tombstones than a delta may list. */
const TOO_MANY = 2 ** 18 + 1

function delta(changes: Partial<MapDelta>): MapDelta {
  const cluster = '00000000-0000-4000-8000-00000000c1a5' as ClusterId
  const empty = { voters: [], nodes: [], volumes: [], extents: [], removedVolumes: [] }
  return { cluster, clusterGeneration: 0, from: 0, to: 1, ...empty, ...changes }
}

const removedVolumes = Array.from({ length: TOO_MANY }, (_, index) => (index + 1) as VolumeId)

test('a message that cannot be encoded closes its link only, with a reason in the log', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  const other = await RawPeer.join(node.transport.address)
  const otherLink = await node.recorder.up('in', 1)
  node.transport.send(link.link, { type: 'map-update', delta: delta({ removedVolumes }) })
  node.transport.flush()
  await node.recorder.down(link)
  await peer.closed
  assert.equal(node.transport.counters.unencodableMessages, 1)
  const [warning] = node.log.warnings
  assert.equal(warning?.message, 'unencodable message: link closed')
  assert.match(String(warning?.details['what']), /removedVolumes must be a list of at most 262144/)
  node.transport.send(otherLink.link, { type: 'map-update', delta: delta({}) })
  node.transport.flush()
  await other.next(2)
  assert.equal(otherLink.downs, 0)
})

test('one that is found out while it is queued does the same', async () => {
  await using node = await listening()
  await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  // A large delta is encoded when it is queued, so that all watchers of the map share its bytes.
  const extents = new Array<ExtentRecord>(300)
  assert.equal(
    node.transport.send(link.link, { type: 'map-update', delta: delta({ removedVolumes, extents }) }),
    'down',
  )
  await node.recorder.down(link)
  assert.equal(node.transport.counters.unencodableMessages, 1)
})
