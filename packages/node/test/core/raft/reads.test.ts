import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TIMERS } from '@ashlar/proto'
import { store } from '../control/kit.ts'
import { RaftCluster } from './cluster.ts'
import { bootstrapEntry, ELECTION_MS, entry, Lone } from './lone.ts'

const read = (lone: Lone) => {
  let id: number | undefined
  const lines = lone.step((ctx) => {
    id = lone.machine.readIndex(ctx)
  })
  return { id, lines }
}

describe('raft: read-index rounds', () => {
  test('30: a read waits for a committed entry of the own term', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 2)] })
    lone.elect()
    assert.equal(read(lone).id, undefined)
    lone.accepted(2, 3)
    assert.equal(read(lone).id, 1)
  })

  test('a round ends when a majority responded to this round, not to an older one', () => {
    const lone = new Lone()
    lone.elect()
    lone.accepted(2, 2)
    assert.deepEqual(read(lone).lines, ['append 1>2 t2 after 2/2 [] commit 2', 'append 1>3 t2 after 1/1 [] commit 2'])
    assert.deepEqual(lone.accepted(2, 2, 0), [], 'an answer to what was sent before the round')
    assert.deepEqual(lone.accepted(2, 2, 1), ['read 1 confirmed'])
  })

  test('reads of one step share a round', () => {
    const lone = new Lone()
    lone.elect()
    lone.accepted(2, 2)
    const lines = lone.step((ctx) => {
      lone.machine.readIndex(ctx)
      lone.machine.readIndex(ctx)
    })
    assert.equal(lines.length, 2)
    assert.deepEqual(
      lone.accepted(3, 1, 1).filter((line) => line.startsWith('read')),
      ['read 1 confirmed', 'read 2 confirmed'],
    )
  })

  test('a single voter confirms reads alone', () => {
    const lone = new Lone({ entries: [bootstrapEntry(1)] })
    lone.write()
    assert.deepEqual(read(lone).lines, ['read 1 confirmed'])
  })

  test('31: every read ends: confirmed, or lost with the leadership', () => {
    const lone = new Lone()
    lone.elect()
    lone.accepted(2, 2)
    read(lone)
    const lines = lone.wait(ELECTION_MS)
    assert.deepEqual(
      lines.filter((line) => line.startsWith('read') || line.startsWith('leads')),
      ['read 1 lost', 'leads no more'],
    )
  })

  test('32: a deposed leader confirms no read after a pause, whatever its clock says', () => {
    const cluster = new RaftCluster({ seed: 5 })
    const stopped = cluster.untilLeader()
    cluster.runFor(300)
    const node = cluster.node(stopped)
    // It stands still: nothing reaches it, and it does nothing. What it had sent is out.
    const { machine } = node
    node.machine = undefined
    cluster.runUntil('another leader', () => cluster.leader !== undefined)
    const asked = cluster.propose(cluster.leader ?? 0, 'new')
    cluster.runUntil('committed', () => asked.outcome === 'committed')
    node.machine = machine
    const stale = cluster.read(stopped)
    assert.equal(stale.outcome, 'pending', 'it still believes to lead')
    cluster.runUntil('the read ends', () => stale.outcome !== 'pending')
    assert.equal(stale.outcome, 'lost')
  })

  test('33: the old leader confirms no read after a transfer of leadership', () => {
    const cluster = new RaftCluster({ seed: 2 })
    const first = cluster.untilLeader()
    cluster.runFor(200)
    const other = first === 1 ? 2 : 1
    const refused: (string | undefined)[] = []
    cluster.step(first, (machine, ctx) => refused.push(machine.transferLeadership(ctx, cluster.node(other).store)))
    assert.deepEqual(refused, [undefined])
    const begun = cluster.now
    assert.equal(cluster.propose(first, 'late').outcome, 'refused')
    cluster.runUntil('handed over', () => cluster.leader === other)
    assert.ok(cluster.now - begun < 500, 'no voter waited for an election timeout')
    const late = cluster.read(first)
    assert.equal(late.outcome, 'refused')
  })

  test('33: a leader whose successor does not campaign continues after an election timeout', () => {
    const cluster = new RaftCluster()
    const first = cluster.untilLeader()
    const other = first === 1 ? 2 : 1
    cluster.crash(other)
    cluster.step(first, (machine, ctx) => machine.transferLeadership(ctx, cluster.node(other).store))
    cluster.runFor(TIMERS.electionMaxMs + 500)
    const asked = cluster.propose(first, 'a')
    cluster.runUntil('committed', () => asked.outcome === 'committed')
  })

  test('33: the request to campaign counts only in its term', () => {
    const lone = new Lone()
    lone.append(2, 3, {})
    lone.write()
    const message = { type: 'lead-now', to: store(1), from: store(2), term: 2 } as const
    assert.deepEqual(lone.receive(message), [])
    assert.deepEqual(lone.receive({ ...message, term: 3 }), ['write term 4 vote 1'])
  })
})
