import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StoreId } from '@ashlar/proto'
import { store } from '../control/kit.ts'
import { RaftCluster } from './cluster.ts'
import { bootstrapEntry, entry, Lone } from './lone.ts'

/** Voter 1, which took part up to term 4 and lost its log: it opens empty, in term 5. */
function lost(): Lone {
  const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 4)] })
  lone.disk.hardState = { term: 4, vote: store(2) }
  lone.disk.loseLog()
  lone.restart()
  return lone
}

/** The numbers in the names of these tests are those of the pitfalls in docs/internals/control-log.md. */
describe('raft: a voter that lost its log', () => {
  test('25: grants no vote in any term and requests none', () => {
    const lone = lost()
    assert.deepEqual(lone.askVote(3, 4, entry(9, 4)), ['vote 1>3 t5 refused'])
    assert.deepEqual(lone.askVote(3, 5, entry(9, 4)), ['vote 1>3 t5 refused'])
    assert.deepEqual(lone.askVote(3, 5, entry(9, 4), { pre: true }), ['pre-vote 1>3 t5 refused'])
    assert.deepEqual(
      [...lone.askVote(2, 6, entry(9, 4)), ...lone.write()],
      ['write term 6 vote none recovering', 'vote 1>2 t6 refused'],
    )
    assert.deepEqual(lone.wait(5000), [])
  })

  test('35: makes the leader of its term step down, so that earlier acknowledgements do not count', () => {
    const lone = lost()
    const answer = lone.append(2, 4, { prevIndex: 2, prevTerm: 4, commit: 2 })
    assert.deepEqual(answer, ['refused 1>2 t5 0 hint 0/0'])
  })

  test('35: votes again only once the first entry of a later leader is durable', () => {
    const lone = lost()
    const old = lone.append(2, 6, { prevIndex: 0, prevTerm: 0, entries: [bootstrapEntry(), entry(2, 4)], commit: 2 })
    assert.deepEqual(old, ['write term 6 vote none recovering from 1 [1/1 2/4]'])
    assert.deepEqual(lone.write(), ['commit 1/1', 'commit 2/4', 'appended 1>2 t6 2'])
    assert.equal(lone.view.recovering, true, 'it may have acknowledged more than the leader of term 4 committed')
    const begun = lone.append(2, 6, { prevIndex: 2, prevTerm: 4, entries: [entry(3, 6)], commit: 2 })
    assert.deepEqual(begun, ['write from 3 [3/6]'])
    assert.equal(lone.view.recovering, true, 'the entry is not durable here')
    assert.deepEqual(lone.write(), ['write term 6 vote none', 'appended 1>2 t6 3'])
    assert.equal(lone.view.recovering, false)
    lone.now += 5000
    assert.deepEqual(
      [...lone.askVote(3, 7, entry(3, 6)), ...lone.write()],
      ['write term 7 vote 3', 'vote 1>3 t7 granted'],
    )
  })

  test('35: is still recovering after a crash until that entry is durable', () => {
    const lone = lost()
    lone.append(2, 6, { prevIndex: 0, prevTerm: 0, entries: [bootstrapEntry(), entry(2, 4)], commit: 2 })
    lone.write()
    lone.append(2, 6, { prevIndex: 2, prevTerm: 4, entries: [entry(3, 6)], commit: 2 })
    lone.restart()
    assert.equal(lone.view.recovering, true)
    assert.deepEqual(lone.askVote(3, 7, entry(3, 6)).slice(0, 1), ['write term 7 vote none recovering'])
    assert.deepEqual(lone.write(), ['vote 1>3 t7 refused'])
  })

  test('35: elects no voter without a committed entry: control waits for the voter that has it', () => {
    const cluster = new RaftCluster()
    const leader = cluster.untilLeader()
    cluster.runFor(500)
    const [loser, behind] = [1, 2, 3].filter((n) => n !== leader) as [number, number]
    cluster.isolate(behind)
    const asked = cluster.propose(leader, 'a')
    cluster.runUntil('committed by two', () => asked.outcome === 'committed')
    cluster.crash(leader)
    cluster.loseLog(loser)
    cluster.heal()
    cluster.runFor(10_000)
    assert.equal(cluster.leader, undefined, 'no live voter has the entry')
    assert.equal(cluster.view(loser).recovering, true)
    cluster.start(leader)
    cluster.runUntil('all have it', () => cluster.nodes.every(({ state }) => state.names.includes('a')))
    assert.equal(cluster.view(loser).recovering, false)
  })

  test('35: does not count with acknowledgements from before the loss that arrive late', () => {
    const cluster = new RaftCluster()
    const leader = cluster.untilLeader()
    cluster.runFor(500)
    const [loser, behind] = [1, 2, 3].filter((n) => n !== leader) as [number, number]
    const late: StoreId = cluster.node(loser).store
    cluster.isolate(behind)
    cluster.keepSent = true
    cluster.passes = ({ type, from }) => type !== 'appended' || from !== late
    const asked = cluster.propose(leader, 'a')
    cluster.runFor(50)
    const answers = cluster.sent.filter(({ type, from }) => type === 'appended' && from === late)
    cluster.passes = () => true
    cluster.loseLog(loser)
    cluster.heal()
    cluster.runUntil('a later leader', () => (cluster.leader ?? leader) !== leader || cluster.view(leader).term > 2)
    for (const message of answers) cluster.deliver(message)
    cluster.runUntil('the voter recovered', () => !cluster.view(loser).recovering)
    cluster.runFor(500)
    assert.notEqual(asked.outcome, 'pending')
    const [first, ...others] = cluster.nodes.map(({ state }) => JSON.stringify(state.names))
    assert.deepEqual(others, [first, first])
  })
})
