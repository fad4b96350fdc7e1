import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NodeName, TIMERS } from '@ashlar/proto'
import { address, CLUSTER, incarnation, store } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'

test('a store that leaves the map when its lease ends is reported down once', () => {
  const rig = new LeaderRig()
  const expiries = () => rig.disk.filter(({ command }) => command.do === 'expire').length
  for (const n of [1, 2]) rig.register(n)
  // Another store comes at the address of store 2, which no extent names: it leaves the map when its lease is over.
  rig.receive(9, {
    ...{ type: 'register', request: 1, cluster: CLUSTER, store: store(9), name: 'n2' as NodeName },
    ...{ address: address(2), api: '', incarnation: incarnation(1), trust: 'trusted' },
  })
  for (let at = 0; at < 6000; at += TIMERS.tickMs) {
    rig.ctx.now += TIMERS.tickMs
    for (const n of [1, 9]) rig.renew(n)
    rig.step(() => rig.leader.onTick(rig.ctx))
  }
  assert.equal(rig.leader.state.nodes.has(store(2)), false)
  assert.equal(expiries(), 1)
})
