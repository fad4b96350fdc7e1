import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { store } from '../control/kit.ts'
import { RaftCluster } from './cluster.ts'
import { bootstrapEntry, ELECTION_MS, entry, Lone } from './lone.ts'

/** The numbers in the names of these tests are those of the pitfalls in docs/internals/control-log.md. */
describe('raft: terms, votes and elections', () => {
  test('a single voter leads at once and commits durable entries', () => {
    const cluster = new RaftCluster({ voters: 1 })
    cluster.runFor(20)
    assert.equal(cluster.leader, 1)
    const asked = cluster.propose(1, 'a')
    cluster.runFor(20)
    assert.equal(asked.outcome, 'committed')
  })

  test('of three voters one leads, the others follow, and all deliver the same entries', () => {
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

  test('1: term and vote are one write, so that a crash before or after it leads to no second vote', () => {
    for (const written of [false, true]) {
      const lone = new Lone()
      assert.deepEqual(lone.askVote(2, 2, bootstrapEntry()), ['write term 2 vote 2'])
      if (written) lone.write()
      lone.restart()
      const answer = [...lone.askVote(3, 2, bootstrapEntry()), ...lone.write()]
      if (written) assert.deepEqual(answer, ['vote 1>3 t2 refused'])
      else assert.deepEqual(answer, ['write term 2 vote 3', 'vote 1>3 t2 granted'])
    }
  })

  test('2: a vote is sent once it is durable, and a candidate requests votes once its own is durable', () => {
    const voter = new Lone()
    assert.deepEqual(voter.askVote(2, 2, bootstrapEntry()), ['write term 2 vote 2'])
    assert.deepEqual(voter.wait(100), [])
    assert.deepEqual(voter.write(), ['vote 1>2 t2 granted'])
    const candidate = new Lone()
    candidate.wait(ELECTION_MS)
    const message = { type: 'vote', from: store(2), to: store(1), term: 1, pre: true, granted: true } as const
    assert.deepEqual(candidate.receive(message), ['write term 2 vote 1'])
    assert.deepEqual(candidate.write(), ['ask 1>2 t2 last 1/1', 'ask 1>3 t2 last 1/1'])
  })

  test('12: a candidate that repeats its request in the same term gets its vote again', () => {
    const lone = new Lone()
    lone.askVote(2, 2, bootstrapEntry())
    assert.deepEqual(lone.write(), ['vote 1>2 t2 granted'])
    assert.deepEqual(lone.askVote(2, 2, bootstrapEntry()), ['vote 1>2 t2 granted'])
    assert.deepEqual(lone.askVote(3, 2, bootstrapEntry()), ['vote 1>3 t2 refused'])
  })

  test('12: a leader is elected although every first response to a candidate is lost', () => {
    const cluster = new RaftCluster()
    const answered = new Set<string>()
    cluster.passes = (message) => {
      if (message.type !== 'vote') return true
      const key = `${message.from}>${message.to} ${message.term} ${message.pre}`
      if (answered.has(key)) return true
      answered.add(key)
      return false
    }
    cluster.untilLeader()
  })

  test('a vote is granted only to a log that is not behind', () => {
    const lone = new Lone({ entries: [bootstrapEntry(), entry(2, 3)] })
    assert.deepEqual(lone.askVote(2, 4, entry(9, 2), { pre: true }), ['write term 4 vote none'])
    assert.deepEqual(lone.write(), ['pre-vote 1>2 t4 refused'])
    assert.deepEqual(lone.askVote(2, 4, bootstrapEntry()), ['vote 1>2 t4 refused'])
    assert.deepEqual(lone.askVote(2, 4, entry(2, 3)), ['write term 4 vote 2'])
  })

  test('14: a store that was partitioned for minutes returns without deposing the leader', () => {
    const cluster = new RaftCluster({ seed: 3 })
    const leader = cluster.untilLeader()
    const { term } = cluster.view(leader)
    const lost = leader === 1 ? 2 : 1
    cluster.isolate(lost)
    cluster.runFor(180_000)
    assert.equal(cluster.view(lost).term, term, 'pre-votes raise no term')
    cluster.heal()
    cluster.runFor(5000)
    assert.equal(cluster.leader, leader)
    assert.equal(cluster.view(leader).term, term)
    assert.deepEqual(cluster.node(leader).leadership, [true])
  })

  test('14: a store that hears a leader grants no vote in any term, except in a transfer of leadership', () => {
    const lone = new Lone()
    lone.append(2, 2, {})
    lone.write()
    assert.deepEqual(lone.askVote(3, 9, entry(9, 8)), [])
    assert.equal(lone.view.term, 2)
    assert.deepEqual(lone.askVote(3, 3, entry(9, 2), { transfer: true }), ['write term 3 vote 3'])
  })

  test('15: a store in an old term gets the new term, so that it can be elected', () => {
    const lone = new Lone()
    lone.append(2, 7, {})
    lone.write()
    assert.deepEqual(lone.askVote(3, 5, bootstrapEntry(), { pre: true }), ['pre-vote 1>3 t7 refused'])
    assert.deepEqual(lone.append(3, 5, {}), ['refused 1>3 t7 0 hint 0/0'])
    const behind = new Lone()
    behind.wait(ELECTION_MS)
    const message = { type: 'vote', from: store(2), to: store(1), term: 7, pre: true, granted: false } as const
    assert.deepEqual(behind.receive(message), ['write term 7 vote none'])
  })

  test('15: a leader in a lower term than a voter steps down, and both elect a leader', () => {
    const cluster = new RaftCluster()
    const leader = cluster.untilLeader()
    const ahead = leader === 1 ? 2 : 1
    cluster.crash(ahead)
    cluster.node(ahead).disk.hardState = { term: 40, vote: undefined }
    cluster.start(ahead)
    cluster.runUntil(
      'a leader above term 40',
      () => cluster.leader !== undefined && cluster.view(cluster.leader).term > 40,
    )
  })

  test('17: three voters have a leader in every partial partition in which one reaches a majority', () => {
    const edges = [1, 2, 3].flatMap((a) => [1, 2, 3].filter((b) => b !== a).map((b) => [a, b] as const))
    for (let cuts = 0; cuts < 2 ** edges.length; cuts++) {
      const cluster = new RaftCluster({ seed: cuts + 1 })
      cluster.untilLeader()
      cluster.runFor(200)
      const isCut = (a: number, b: number) => edges.some(([x, y], i) => x === a && y === b && ((cuts >> i) & 1) === 1)
      for (const [a, b] of edges) if (isCut(a, b)) cluster.cut(a, b)
      const reachable = (n: number) => [1, 2, 3].filter((m) => m === n || (!isCut(n, m) && !isCut(m, n))).length
      if (![1, 2, 3].some((n) => reachable(n) >= 2)) continue
      // Long enough for the old leader to have stepped down if it must.
      cluster.runFor(3000)
      cluster.runUntil(`network ${cuts.toString(2)} makes progress`, () => {
        const { leader } = cluster
        return leader !== undefined && commits(cluster, leader)
      })
    }
  })

  test('17: five voters with links cut in both directions have a leader if one reaches a majority', () => {
    const pairs = [1, 2, 3, 4, 5].flatMap((a) => [1, 2, 3, 4, 5].filter((b) => b > a).map((b) => [a, b] as const))
    for (let cuts = 0; cuts < 2 ** pairs.length; cuts += 7) {
      const cluster = new RaftCluster({ voters: 5, seed: cuts + 1 })
      cluster.untilLeader()
      cluster.runFor(300)
      const degree = [0, 1, 1, 1, 1, 1]
      for (const [i, [a, b]] of pairs.entries()) {
        if (((cuts >> i) & 1) === 0) {
          degree[a] = (degree[a] ?? 0) + 1
          degree[b] = (degree[b] ?? 0) + 1
          continue
        }
        cluster.cut(a, b)
        cluster.cut(b, a)
      }
      if (Math.max(...degree) < 3) continue
      cluster.runFor(3000)
      cluster.runUntil(`network ${cuts.toString(2)} makes progress`, () => {
        const { leader } = cluster
        return leader !== undefined && commits(cluster, leader)
      })
    }
  })

  test('18: a leader that can send but not receive steps down, and stays so', () => {
    const cluster = new RaftCluster()
    const deaf = cluster.untilLeader()
    for (const { n } of cluster.nodes) if (n !== deaf) cluster.cut(n, deaf)
    cluster.runUntil('another leader', () => cluster.leader !== undefined && cluster.leader !== deaf)
    const heard = cluster.leader
    const terms = cluster.view(heard ?? 0).term
    cluster.runFor(20_000)
    assert.equal(cluster.leader, heard)
    assert.equal(cluster.view(heard ?? 0).term, terms, 'the voter that receives nothing deposes no leader')
  })

  test('25: a message for the earlier store at this address is dropped', () => {
    const lone = new Lone({ self: 4, entries: [] })
    const message = { type: 'ask-vote', from: store(2), to: store(1), term: 5, pre: false, transfer: false } as const
    assert.deepEqual(lone.receive({ ...message, lastIndex: 9, lastTerm: 4 }), [])
    assert.equal(lone.view.term, 0)
  })

  test('a store that knows no members yet votes and follows, and does not campaign', () => {
    const lone = new Lone({ self: 2, entries: [] })
    assert.deepEqual(lone.wait(5000), [])
    lone.askVote(1, 2, bootstrapEntry())
    assert.deepEqual(lone.write(), ['vote 2>1 t2 granted'])
    lone.append(1, 2, { prevIndex: 0, prevTerm: 0, entries: [bootstrapEntry(), entry(2, 2)], commit: 1 })
    assert.deepEqual(lone.write(), ['commit 1/1', 'appended 2>1 t2 2'])
  })

  test('followers elect a leader within half a second after the connection to the old one closed', () => {
    const cluster = new RaftCluster()
    const leader = cluster.untilLeader()
    cluster.runFor(500)
    cluster.crash(leader)
    const { store: gone } = cluster.node(leader)
    for (const { n, machine } of cluster.nodes)
      if (machine !== undefined) cluster.step(n, (it, ctx) => it.onPeerLost(ctx, gone))
    cluster.runUntil('another leader', () => cluster.leader !== undefined, 500)
  })

  test('a process that was paused for long reads its messages before it campaigns', () => {
    const lone = new Lone()
    lone.append(2, 2, {})
    lone.write()
    lone.wait(100)
    lone.now += 5000
    assert.deepEqual(
      lone.step((ctx) => lone.machine.onTick(ctx)),
      [],
    )
    assert.equal(lone.view.role, 'follower')
  })
})

/** A fresh proposal of this leader is committed within a second. */
function commits(cluster: RaftCluster, leader: number): boolean {
  const asked = cluster.propose(leader, `by ${leader} at ${cluster.now}`)
  cluster.runFor(1000)
  return asked.outcome === 'committed'
}
