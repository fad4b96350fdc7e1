import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ClusterId, type Ending, LIMITS, type NodeName, type StoreId, WIRE_VERSION } from '@ashlar/proto'
import type { Effect, Input, LinkPeer } from '../../src/core/machine.ts'
import { NodeMachine } from '../../src/core/node-machine.ts'
import { ReportedEnds } from '../../src/core/reported-ends.ts'

const storeOf = (n: number): StoreId => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}` as string as StoreId
const peerOf = (n: number, changes: Partial<Extract<LinkPeer, { kind: 'node' }>> = {}): LinkPeer => ({
  ...{ kind: 'node', wire: WIRE_VERSION, store: storeOf(n), counter: 1, address: `n${n}:1`, level: 1 },
  ...changes,
})
const endOf = (n: number, counter: number): Ending => ({
  ...{ type: 'ending', store: storeOf(n), counter, kind: 'store-failed', reason: 'EIO', at: 5 },
})
const ENDING: Input = { type: 'ending', kind: 'store-failed', reason: 'EIO', at: 5 }

/** Node 1 of a cluster at a feature level, with these links. */
function machine(featureLevel: number, ...links: { link: number; direction: 'in' | 'out'; peer: LinkPeer }[]) {
  const started = new NodeMachine({
    ...{ store: storeOf(1), name: 'n1' as NodeName, address: 'n1:1', api: 'n1:2', trust: 'trusted', founded: false },
    ...{ incarnation: { bootId: 'boot', counter: 4 }, cluster: storeOf(99) as string as ClusterId, featureLevel },
    ...{ voters: [{ store: storeOf(2), address: 'n2:1' }], peers: ['n1:1', 'n2:1'], expect: 2, replicas: [] },
    ...{ log: [], voterCount: 3, seed: 1 },
  })
  for (const link of links) started.step(0, { type: 'link-up', ...link })
  return started
}

const sent = (effects: readonly Effect[]) =>
  effects.map((effect) => (effect.type === 'send' ? [effect.link, effect.message] : [effect.type]))

describe('A2.23-1: a node that ends', () => {
  it('reports why to each connected node once, over the link that it dialed where there is one', () => {
    const node = machine(
      1,
      { link: 1, direction: 'in', peer: peerOf(2) },
      { link: 2, direction: 'out', peer: peerOf(2) },
      { link: 3, direction: 'in', peer: peerOf(3) },
      { link: 4, direction: 'in', peer: { kind: 'client', wire: WIRE_VERSION, name: 'gateway' } },
    )
    const report = { ...endOf(1, 4) }
    assert.deepEqual(sent(node.step(1, ENDING)), [
      [2, report],
      [3, report],
    ])
  })

  it('reports nothing to a node of an older build, nor below the feature level', () => {
    const older = peerOf(2, { level: 0, wire: 2 })
    assert.deepEqual(sent(machine(1, { link: 1, direction: 'out', peer: older }).step(1, ENDING)), [])
    assert.deepEqual(sent(machine(0, { link: 1, direction: 'out', peer: peerOf(2) }).step(1, ENDING)), [])
  })
})

describe('A2.23-2: the report of a peer', () => {
  it('is remembered if the store at the other end of the link sent it', () => {
    const node = machine(1, { link: 1, direction: 'out', peer: peerOf(2) })
    node.step(1, { type: 'received', link: 1, message: endOf(3, 1) })
    assert.equal(node.links.ends.of(storeOf(3)), undefined)
    node.step(1, { type: 'received', link: 1, message: endOf(2, 1) })
    assert.deepEqual(node.links.ends.of(storeOf(2)), endOf(2, 1))
  })

  it('is forgotten once a later incarnation is connected, and kept for the same one', () => {
    const ends = new ReportedEnds()
    ends.add(endOf(2, 3))
    ends.onLinkUp(peerOf(2, { counter: 3 }))
    assert.equal(ends.of(storeOf(2))?.counter, 3)
    ends.onLinkUp(peerOf(2, { counter: 4 }))
    assert.equal(ends.of(storeOf(2)), undefined)
  })

  it('is the latest of each store, of as many stores as a cluster may have', () => {
    const ends = new ReportedEnds()
    ends.add(endOf(1, 3))
    ends.add(endOf(1, 2))
    assert.equal(ends.of(storeOf(1))?.counter, 3)
    for (let n = 2; n <= LIMITS.nodes + 1; n++) ends.add(endOf(n, 1))
    assert.equal([...ends.all()].length, LIMITS.nodes)
    assert.equal(ends.of(storeOf(1)), undefined)
  })
})
