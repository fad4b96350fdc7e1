import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LogEntry } from '../../../src/core/control/index.ts'
import { named, RaftCluster } from './cluster.ts'
import { bootstrapEntry, entry, Lone } from './lone.ts'

/** A leader of three, whose first entry the second store has. */
function leading(options: { entries?: readonly LogEntry[]; raft?: object } = {}): Lone {
  const lone = new Lone(options)
  lone.elect()
  lone.accepted(2, lone.view.lastIndex)
  return lone
}

describe('raft: replication and commitment', () => {
  test('3: a single voter answers nothing before it is durable', () => {
    const lone = new Lone({ entries: [bootstrapEntry(1)] })
    assert.deepEqual(lone.write(), ['write from 2 [2/2]', 'commit 1/1', 'commit 2/2', 'leads'])
    assert.deepEqual(
      lone.step((ctx) => lone.machine.propose(ctx, named('a'))),
      ['write from 3 [3/2]'],
    )
    assert.deepEqual(lone.wait(1000), [])
    assert.deepEqual(lone.write(), ['commit 3/2 proposal 1'])
  })

  test('3: a follower acknowledges entries only when they are durable', () => {
    const lone = new Lone()
    const entries = [entry(2, 2), entry(3, 2)]
    assert.deepEqual(lone.append(2, 2, { entries }), ['write term 2 vote none from 2 [2/2 3/2]'])
    assert.deepEqual(lone.wait(200), [])
    assert.deepEqual(lone.write(), ['appended 1>2 t2 3'])
  })

  test('3: a leader counts itself only for its durable entries', () => {
    const lone = leading()
    lone.step((ctx) => lone.machine.propose(ctx, named('a')))
    const { lastIndex } = lone.view
    assert.deepEqual(lone.accepted(3, 1), [`append 1>3 t2 after 1/1 [2/2 3/2] commit 2`])
    assert.deepEqual(lone.accepted(2, lastIndex), [], 'one of three has it durably')
    assert.deepEqual(lone.write(), [`commit ${lastIndex}/2 proposal 1`])
  })

  test('4: an entry that is committed elsewhere is delivered only when it is durable here', () => {
    const lone = new Lone()
    assert.deepEqual(lone.append(2, 2, { entries: [entry(2, 2)], commit: 2 }), [
      'commit 1/1',
      'write term 2 vote none from 2 [2/2]',
    ])
    assert.deepEqual(lone.write(), ['commit 2/2', 'appended 1>2 t2 2'])
  })

  test('4: the completed write of a replaced entry does not make its replacement durable', () => {
    const lone = new Lone()
    lone.append(2, 2, { entries: [entry(2, 2)] })
    lone.append(3, 3, { entries: [entry(2, 3)], commit: 2 })
    const { token } = lone.disk.complete()
    assert.deepEqual(
      lone.step((ctx) => lone.machine.onPersisted(ctx, token)),
      [],
    )
    assert.deepEqual(lone.write(), ['commit 2/3', 'appended 1>3 t3 2'])
  })

  test('7: a delayed message truncates no later entries', () => {
    const lone = new Lone()
    lone.append(2, 2, { entries: [entry(2, 2), entry(3, 2), entry(4, 2)], commit: 3 })
    lone.write()
    assert.deepEqual(lone.append(2, 2, { entries: [entry(2, 2)] }), ['appended 1>2 t2 3'])
    assert.deepEqual(lone.append(2, 2, { prevIndex: 3, prevTerm: 2, entries: [] }), ['appended 1>2 t2 3'])
    assert.equal(lone.view.lastIndex, 4)
  })

  test('7: a log is truncated only from the first entry that differs', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2), entry(3, 2), entry(4, 2)] })
    assert.deepEqual(lone.append(2, 3, { entries: [entry(2, 2), entry(3, 3)] }), [
      'write term 3 vote none from 3 [3/3]',
    ])
    assert.deepEqual(lone.write(), ['appended 1>2 t3 3'])
    assert.equal(lone.view.lastIndex, 3)
  })

  test('8: a high commit index commits only the entries that its message verified', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2), entry(3, 2)] })
    assert.deepEqual(lone.append(2, 3, { prevIndex: 1, prevTerm: 1, commit: 3 })[0], 'commit 1/1')
    assert.equal(lone.view.commit, 1, 'entries 2 and 3 may differ from the leader')
    assert.deepEqual(lone.append(2, 3, { prevIndex: 1, prevTerm: 1, entries: [entry(2, 2)], commit: 9 }), [
      'commit 2/2',
    ])
    assert.equal(lone.view.commit, 2)
  })

  test('9: figure 8: an entry of an older term is not committed by a majority that has it', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2)] })
    lone.elect()
    assert.equal(lone.view.term, 3)
    assert.deepEqual(
      lone.accepted(2, 2).filter((line) => line.startsWith('commit')),
      [],
    )
    assert.equal(lone.view.commit, 0, 'store 3 could still lead and overwrite it')
    assert.deepEqual(lone.accepted(2, 3), ['commit 1/1', 'commit 2/2', 'commit 3/3', 'leads'])
  })

  test('10: a deposed leader drops its uncommitted entries and reports their proposals as lost', () => {
    const lone = leading()
    lone.step((ctx) => lone.machine.propose(ctx, named('a')))
    assert.deepEqual(lone.append(2, 5, { prevIndex: 2, prevTerm: 2, entries: [entry(3, 5)] }), [
      'lost proposal 1',
      'leads no more',
      'write term 5 vote none from 3 [3/5]',
    ])
    assert.deepEqual(
      lone.step((ctx) => assert.equal(lone.machine.propose(ctx, named('b')), undefined)),
      [],
    )
    assert.deepEqual(lone.write(), ['appended 1>2 t5 3'])
  })

  test('11: a leader that steps down keeps its log, and the next leader commits the same entries', () => {
    const cluster = new RaftCluster()
    const first = cluster.untilLeader()
    const asked = cluster.propose(first, 'kept')
    cluster.runUntil('committed', () => asked.outcome === 'committed')
    cluster.isolate(first)
    const unheard = cluster.propose(first, 'unheard')
    cluster.runUntil('another leader', () => cluster.leader !== undefined && cluster.leader !== first)
    cluster.runUntil('stepped down', () => unheard.outcome === 'lost')
    cluster.heal()
    const next = cluster.propose(cluster.leader ?? 0, 'next')
    cluster.runUntil('all the same', () => cluster.nodes.every(({ state }) => state.names.at(-1) === 'next'))
    assert.equal(next.outcome, 'committed')
    for (const { state } of cluster.nodes) assert.deepEqual(state.names, ['kept', 'next'])
  })

  test('one exchange skips a whole term of conflicting entries', () => {
    const mine = Array.from({ length: 300 }, (_, i) => entry(i + 2, 2))
    const lone = new Lone({ entries: [bootstrapEntry(), ...mine] })
    assert.deepEqual(lone.append(2, 4, { prevIndex: 250, prevTerm: 1 }).slice(1), [])
    assert.deepEqual(lone.write(), ['refused 1>2 t4 250 hint 1/1'])
  })

  test('a heartbeat gets a response with the durable index while the disk is slow', () => {
    const lone = new Lone()
    lone.append(2, 2, {})
    lone.write()
    lone.append(2, 2, { entries: [entry(2, 2)] })
    assert.deepEqual(lone.append(2, 2, { prevIndex: 2, prevTerm: 2 }), ['appended 1>2 t2 1'])
  })

  test('a message with a gap between its entries is invalid', () => {
    const lone = new Lone()
    assert.deepEqual(lone.append(2, 2, { entries: [entry(3, 2)] }), ['write term 2 vote none'])
    assert.equal(lone.view.lastIndex, 1)
  })

  test('37: a leader that failed to write an entry gets it back from the next leader', () => {
    const cluster = new RaftCluster()
    const first = cluster.untilLeader()
    cluster.runFor(200)
    cluster.node(first).diskWorks = false
    const asked = cluster.propose(first, 'a')
    cluster.runUntil(
      'the others have it',
      () =>
        asked.outcome === 'pending' &&
        cluster.nodes.every(
          (it) => it.n === first || it.disk.entries.some(({ command }) => command.do === 'remove-volume'),
        ),
    )
    cluster.crash(first)
    cluster.node(first).diskWorks = true
    cluster.runUntil('another leader', () => cluster.leader !== undefined)
    cluster.start(first)
    cluster.runUntil('all have it', () => cluster.nodes.every(({ state }) => state.names.join() === 'a'))
  })

  test('39: uncommitted proposals are bounded in number and bytes', () => {
    const lone = leading({ raft: { uncommittedEntries: 5, uncommittedBytes: 2000 } })
    const propose = (name: string) => {
      let proposal: number | undefined
      lone.step((ctx) => {
        proposal = lone.machine.propose(ctx, named(name))
      })
      return proposal
    }
    for (let i = 1; i <= 5; i++) assert.equal(propose('x'), i)
    assert.equal(propose('x'), undefined)
    assert.equal(lone.machine.leads, true)
    lone.write()
    lone.accepted(2, lone.view.lastIndex)
    assert.equal(propose('y'.repeat(2500)), 6, 'a large one is taken when nothing waits')
    assert.equal(propose('x'), undefined)
    lone.write()
    lone.accepted(2, lone.view.lastIndex)
    assert.equal(propose('x'), 7)
  })

  test('39: a silent follower gets heartbeats, and the same entries only once', () => {
    const lone = leading({ raft: { messageBytes: 100, messagesInFlight: 4 } })
    lone.accepted(3, 2)
    for (let i = 0; i < 40; i++) lone.step((ctx) => lone.machine.propose(ctx, named(`${i}`.padStart(80, '-'))))
    lone.write()
    lone.accepted(2, lone.view.lastIndex)
    const sent = lone.wait(600).filter((line) => line.startsWith('append 1>3'))
    assert.ok(
      sent.every((line) => line.includes('[] ')),
      sent.join('\n'),
    )
  })
})
