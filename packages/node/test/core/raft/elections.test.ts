import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RaftCluster } from './cluster.ts'

describe('raft elections', () => {
  test('a cluster of one leads at once and commits what is durable', () => {
    const cluster = new RaftCluster({ voters: 1 })
    cluster.runFor(20)
    assert.equal(cluster.leader, 1)
    const asked = cluster.propose(1, 'a')
    cluster.runFor(20)
    assert.equal(asked.outcome, 'committed')
  })

  test('of three voters one leads, the others follow, and all hand over the same entries', () => {
    const cluster = new RaftCluster()
    const leader = cluster.untilLeader()
    const asked = cluster.propose(leader, 'a')
    cluster.runFor(300)
    assert.equal(asked.outcome, 'committed')
    for (const { state } of cluster.nodes) assert.deepEqual(state.names, ['a'])
    assert.deepEqual(
      cluster.nodes.map(({ n }) => cluster.view(n).leader),
      Array(3).fill(cluster.node(leader).store),
    )
  })
})
