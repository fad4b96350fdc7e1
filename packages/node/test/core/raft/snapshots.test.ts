import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { store } from '../control/kit.ts'
import { RaftCluster, voter } from './cluster.ts'
import { bootstrapEntry, entry, Lone } from './lone.ts'

const RAFT = { snapshotEntries: 10, trailingEntries: 2, snapshotPartBytes: 16 }

/** A cluster of which store 3 missed so much that the leader does not have its next entry any more. */
function lagging(seed = 1): { cluster: RaftCluster; leader: number; behind: number } {
  const cluster = new RaftCluster({ raft: RAFT, seed })
  const leader = cluster.untilLeader()
  const behind = leader === 3 ? 2 : 3
  cluster.crash(behind)
  for (let i = 0; i < 40; i++) {
    const asked = cluster.propose(leader, `${i}`)
    cluster.runUntil('committed', () => asked.outcome === 'committed')
  }
  return { cluster, leader, behind }
}

describe('raft: snapshots and compaction', () => {
  test('a follower that is too far behind gets the state in parts, then the entries after it', () => {
    const { cluster, leader, behind } = lagging()
    cluster.start(behind)
    cluster.runUntil('the same state', () => cluster.node(behind).state.names.length === 40)
    assert.deepEqual(cluster.node(behind).state, cluster.node(leader).state)
    assert.ok(cluster.view(behind).snapshotIndex > 30)
    const asked = cluster.propose(leader, 'after')
    cluster.runUntil('it follows', () => cluster.node(behind).state.names.at(-1) === 'after')
    assert.equal(asked.outcome, 'committed')
  })

  test('a follower whose snapshot is queued behind bulk data hears its leader and does not campaign', () => {
    const { cluster, leader, behind } = lagging()
    cluster.passes = ({ type }) => type !== 'install-snapshot'
    cluster.start(behind)
    cluster.runUntil('it follows', () => cluster.view(behind).leader === store(leader))
    cluster.keepSent = true
    cluster.runFor(5000)
    const asked = cluster.sent.filter(({ type, from }) => type === 'ask-vote' && from === store(behind))
    assert.deepEqual(asked, [])
    const heard = cluster.view(leader).followers.find((it) => it.store === store(behind))
    assert.equal(heard?.state, 'snapshot')
    assert.ok((heard?.heardMsAgo ?? Infinity) < 500, 'its answers count for the majority that the leader has to hear')
    cluster.passes = () => true
    cluster.runUntil('the same state', () => cluster.node(behind).state.names.length === 40)
  })

  test('a snapshot arrives over a network that loses, duplicates and reorders its parts, and over restarts', () => {
    const { cluster, behind } = lagging(4)
    cluster.start(behind)
    cluster.loss = 0.2
    cluster.duplicates = 0.2
    cluster.delayMs = [1, 120]
    cluster.runFor(300)
    cluster.restart(behind)
    cluster.runUntil('the same state', () => cluster.node(behind).state.names.length === 40, 60_000)
  })

  test('a store that starts from a snapshot has its state, term and members', () => {
    const { cluster, leader, behind } = lagging()
    cluster.start(behind)
    cluster.runUntil('installed', () => cluster.node(behind).state.names.length === 40)
    cluster.restart(behind)
    const view = cluster.view(behind)
    assert.equal(view.members.voters.length, 3)
    assert.equal(view.term, cluster.view(leader).term)
    assert.ok(cluster.node(behind).state.names.length > 30)
    cluster.runUntil('the rest follows', () => cluster.node(behind).state.names.length === 40)
  })

  test('22: members are part of a snapshot, and those of a truncated suffix are dropped', () => {
    const change = { do: 'set-members', voters: [voter(1)], learners: [] } as const
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2), { index: 3, term: 2, command: change }] })
    assert.equal(lone.view.members.voters.length, 1)
    const members = { voters: [voter(1), voter(2), voter(3), voter(4), voter(5)], learners: [voter(6)] }
    assert.deepEqual(lone.snapshot(2, 4, 5, 4, members), ['write term 4 vote none snapshot 5/4 restart 6 []'])
    assert.deepEqual(lone.view.members, members)
    assert.deepEqual(lone.write(), ['restore 3 bytes', 'appended 1>2 t4 5'])
    lone.restart()
    assert.deepEqual(lone.view.members, members)
  })

  test('22: a crash between the snapshot and the truncation keeps no entry of the old log', () => {
    const change = { do: 'set-members', voters: [voter(1)], learners: [] } as const
    const old = [bootstrapEntry(), entry(2, 2), entry(3, 2), entry(4, 2), { index: 5, term: 2, command: change }]
    const lone = new Lone({ entries: old })
    lone.snapshot(2, 4, 3, 4)
    // The write of the term that it had asked votes for, then of the next request the term and the snapshot.
    lone.disk.crash(1, 2)
    lone.restart()
    assert.equal(lone.view.lastIndex, 3)
    assert.equal(lone.view.snapshotIndex, 3)
  })

  test('26: a conflicting entry at the index of the snapshot is dropped, and the next entries of the leader follow', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2), entry(3, 2), entry(4, 2)] })
    lone.snapshot(2, 4, 3, 3)
    assert.equal(lone.view.lastIndex, 3)
    assert.deepEqual(lone.append(2, 4, { prevIndex: 3, prevTerm: 3, entries: [entry(4, 4)], commit: 4 }), [
      'write from 4 [4/4]',
    ])
    assert.deepEqual(lone.write(), ['restore 3 bytes', 'appended 1>2 t4 3', 'commit 4/4', 'appended 1>2 t4 4'])
  })

  test('26: a log that has the entry of the snapshot keeps the entries after it', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2), entry(3, 2), entry(4, 2)] })
    const lines = lone.snapshot(2, 4, 3, 2)
    assert.deepEqual(lines, ['commit 1/1', 'commit 2/2', 'commit 3/2', 'write term 4 vote none'])
    assert.equal(lone.view.lastIndex, 4)
  })

  test('27: an old snapshot has no effect', () => {
    const lone = new Lone()
    lone.append(2, 2, { entries: [entry(2, 2), entry(3, 2), entry(4, 2)], commit: 4 })
    lone.write()
    assert.deepEqual(lone.snapshot(2, 2, 3, 2), ['appended 1>2 t2 4'])
    assert.deepEqual(lone.snapshot(2, 2, 2, 1), ['appended 1>2 t2 4'])
    assert.equal(lone.view.lastIndex, 4)
  })

  test('28: a follower whose previous entry was compacted gets the snapshot', () => {
    const lone = new Lone({ raft: { ...RAFT, snapshotEntries: 3, trailingEntries: 0 } })
    lone.elect()
    lone.accepted(2, 2)
    for (let i = 0; i < 4; i++) lone.step((ctx) => lone.machine.propose(ctx, { do: 'remove-volume', name: 'x' }))
    lone.write()
    const lines = lone.accepted(2, lone.view.lastIndex)
    assert.equal(lone.view.snapshotIndex, lone.view.lastIndex)
    assert.ok(lines.includes('snapshot 1>3 t2 6/2 bytes 0+1'), lines.join('\n'))
    const about = { from: store(3), to: store(1), term: 2, accepted: false, round: 0 } as const
    const refused = { ...about, type: 'appended', match: 1, hintIndex: 0, hintTerm: 0 } as const
    assert.deepEqual(lone.receive(refused), [], 'an answer to an older question')
    const part = 'snapshot 1>3 t2 6/2 bytes 0+1'
    assert.ok(!lone.wait(400).includes(part), 'it may wait behind bulk')
    assert.ok(lone.wait(200).includes(part), 'sent again until it arrives')
  })

  test('29: entries are dropped only by a request that writes the snapshot first', () => {
    const lone = new Lone({ entries: [bootstrapEntry(1)], raft: { ...RAFT, snapshotEntries: 3, trailingEntries: 0 } })
    lone.write()
    lone.step((ctx) => lone.machine.propose(ctx, { do: 'remove-volume', name: 'x' }))
    const { token } = lone.disk.complete()
    assert.deepEqual(
      lone.step((ctx) => lone.machine.onPersisted(ctx, token)),
      ['commit 3/2 proposal 1', 'write snapshot 3/2'],
    )
    lone.restart()
    assert.equal(lone.view.snapshotIndex, 0, 'a crash before it is durable leaves the log as it was')
    assert.equal(lone.view.lastIndex, 3)
  })
})
