import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TIMERS } from '@ashlar/proto'
import { store } from '../control/kit.ts'
import { RaftCluster } from './cluster.ts'
import { bootstrapEntry, ELECTION_MS, Lone } from './lone.ts'

/** A disk that does not answer for longer than this hangs; a takeover fits into the rest. */
const FOUND_MS = TIMERS.logSlowMs + 2 * TIMERS.heartbeatMs

/** A cluster whose leader proposed an entry that its own disk does not write. */
function hungLeader(options: ConstructorParameters<typeof RaftCluster>[0] = {}) {
  const cluster = new RaftCluster(options)
  const leader = cluster.untilLeader()
  cluster.runFor(500)
  cluster.node(leader).diskWorks = false
  const asked = cluster.propose(leader, 'a')
  return { cluster, leader, asked }
}

describe('amendment 28: a hung disk under the control log', () => {
  test('a leader with a hung disk is replaced, and its proposals are committed', () => {
    const { cluster, leader } = hungLeader()
    cluster.runFor(TIMERS.logSlowMs - 200)
    assert.equal(cluster.leader, leader, 'a slow disk is none that hangs')
    cluster.runFor(700)
    const next = cluster.leader
    assert.ok(next !== undefined && next !== leader)
    assert.equal(cluster.view(leader).role, 'follower')
    const asked = cluster.propose(next, 'b')
    cluster.runFor(300)
    assert.equal(asked.outcome, 'committed')
    assert.deepEqual(cluster.node(next).state.names, ['a', 'b'])
  })

  test('a transfer skips a voter without the whole log, and tries another voter if one does not take over', () => {
    const { cluster, leader } = hungLeader({ voters: 5 })
    const [behind, deaf, ...others] = cluster.nodes.filter(({ n }) => n !== leader)
    assert.ok(behind !== undefined && deaf !== undefined)
    behind.diskWorks = false
    cluster.runFor(100)
    cluster.passes = ({ type, to }) => type !== 'lead-now' || to !== deaf.store
    cluster.runFor(FOUND_MS + TIMERS.electionMaxMs + 500)
    assert.ok(others.some(({ n }) => n === cluster.leader))
  })

  test('a single voter continues to lead, and reports how long it has waited', () => {
    const { cluster, leader, asked } = hungLeader({ voters: 1 })
    cluster.runFor(2 * TIMERS.logSlowMs)
    assert.equal(cluster.leader, leader)
    assert.ok(cluster.view(leader).diskWaitedMs >= 2 * TIMERS.logSlowMs - TIMERS.tickMs)
    cluster.node(leader).diskWorks = true
    cluster.completeDisk(leader)
    cluster.runFor(100)
    assert.equal(asked.outcome, 'committed')
    assert.equal(cluster.view(leader).diskWaitedMs, 0)
  })

  test('a voter with a hung disk requests no votes, and its term does not rise', () => {
    const lone = new Lone()
    lone.wait(ELECTION_MS)
    const yes = { type: 'vote', from: store(2), to: store(1), term: 1, pre: true, granted: true } as const
    assert.deepEqual(lone.receive(yes), ['write term 2 vote 1'])
    lone.wait(TIMERS.logSlowMs)
    const { term } = lone.view
    assert.deepEqual(lone.wait(4 * TIMERS.electionMaxMs), [])
    assert.equal(lone.view.term, term)
    assert.equal(lone.view.role, 'follower')
    lone.write()
    assert.deepEqual(lone.wait(TIMERS.electionMaxMs).slice(0, 2), [
      'pre-ask 1>2 t2 last 1/1',
      'pre-ask 1>3 t2 last 1/1',
    ])
  })

  test('a pause of the process does not count as a hung disk', () => {
    const lone = new Lone()
    assert.deepEqual(lone.askVote(2, 2, bootstrapEntry()), ['write term 2 vote 2'])
    lone.wait(50)
    lone.now += 2 * TIMERS.logSlowMs
    lone.step((ctx) => lone.machine.onTick(ctx))
    assert.equal(lone.view.diskWaitedMs, 0)
    lone.wait(100)
    assert.equal(lone.view.diskWaitedMs, 100)
  })
})
