import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TIMERS } from '@ashlar/proto'
import { only, store } from '../control/kit.ts'
import { AgentRig } from './agent-rig.ts'

describe('A2.17-4: a compared store', () => {
  const said = (rig: AgentRig) => only(rig.pass(TIMERS.renewMs), 'renew').cleared
  /** Control knows the agent's store as suspect. */
  const suspect = (level: number) => {
    const rig = new AgentRig().registered()
    if (level > 0) rig.leader.apply({ do: 'raise-feature-level', level })
    rig.leader.register(2, { counter: 1, trust: 'suspect', boot: 'boot', level })
    const node = rig.leader.state.nodes.get(store(2)) ?? assert.fail('it is registered')
    rig.leader.state.putNode({ ...node, trust: 'suspect' })
    rig.leader.apply({ do: 'begin-term' })
    rig.giveMap()
    assert.equal(rig.agent.map.nodes.get(store(2))?.trust, 'suspect')
    return rig
  }

  it('reports that with every renewal until control trusts it', () => {
    const rig = suspect(1)
    assert.equal(said(rig), undefined)
    rig.agent.suspicion.setCleared(true)
    assert.deepEqual([said(rig), said(rig)], [true, true])
    rig.leader.apply({ do: 'clear-suspicion', store: store(2), counter: 1, live: [] })
    rig.giveMap()
    assert.equal(said(rig), undefined)
  })

  it('withdraws the report when it finds new evidence', () => {
    const rig = suspect(1)
    rig.agent.suspicion.setCleared(true)
    rig.agent.suspicion.setCleared(false)
    assert.equal(said(rig), undefined)
  })

  it('reports nothing while it counts on a replica that was created again', () => {
    const rig = suspect(1)
    rig.agent.suspicion.setCleared(true)
    rig.holdsWhatCounts = false
    assert.equal(said(rig), undefined)
  })

  it('reports nothing to a cluster in which an older build may apply the log', () => {
    const rig = suspect(0)
    rig.agent.suspicion.setCleared(true)
    assert.equal(said(rig), undefined)
  })
})
