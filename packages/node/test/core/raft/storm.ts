import assert from 'node:assert/strict'
import { Prng } from '../../../src/core/prng.ts'
import { type Asked, RaftCluster, voter } from './cluster.ts'

const STORM_MS = 20_000
const CALM_MS = 10_000
/** Every read and proposal ends by then, in a storm too: check-quorum ends what a cut-off leader holds up. */
const ANSWER_MS = 12_000

export interface StormResult {
  readonly events: number
  readonly committed: number
  readonly confirmedReads: number
  readonly faults: number
  readonly lostLogs: number
  readonly terms: number
}

/**
 * One cluster under everything that may happen, then in calm weather. The checker watches every event; in the calm a
 * leader must be there, proposals must be committed, and all logs must be the same.
 */
export function runStorm(seed: number): StormResult {
  const chance = new Prng(seed * 7919)
  const voters = [1, 3, 3, 3, 5][Math.floor(chance.next() * 5)] ?? 3
  const cluster = new RaftCluster({
    voters,
    others: 2,
    seed,
    raft:
      chance.next() < 0.6
        ? { snapshotEntries: 12, trailingEntries: Math.floor(chance.next() * 8), snapshotPartBytes: 40 }
        : {},
    snapshotSlices: 1 + Math.floor(chance.next() * 4),
    delayMs: [1, chance.next() < 0.5 ? 10 : 300],
    diskMs: [1, chance.next() < 0.5 ? 5 : 200],
    loss: chance.next() < 0.5 ? 0 : chance.next() * 0.3,
    duplicates: chance.next() < 0.5 ? 0 : 0.2,
  })
  const storm = new Storm(cluster, chance)
  for (const end = cluster.now + STORM_MS; cluster.now < end; cluster.runFor(10 + Math.floor(chance.next() * 120)))
    storm.act()
  storm.calm()
  return storm.result()
}

class Storm {
  readonly #cluster: RaftCluster
  readonly #chance: Prng
  readonly #asked: Asked[] = []
  readonly #reads: Asked[] = []
  #count = 0
  #faults = 0
  #lostLogs = 0

  constructor(cluster: RaftCluster, chance: Prng) {
    this.#cluster = cluster
    this.#chance = chance
  }

  act(): void {
    const { nodes } = this.#cluster
    const n = this.#pick(nodes.length) + 1
    const isUp = nodes[n - 1]?.machine !== undefined
    const dice = this.#chance.next()
    if (dice < 0.45) this.#ask(n)
    else if (dice < 0.55) this.#faulty(() => (isUp ? this.#crash(n) : this.#cluster.start(n)))
    else if (dice < 0.65 && !isUp) this.#cluster.start(n)
    else if (dice < 0.72) this.#faulty(() => this.#cut())
    else if (dice < 0.8) this.#cluster.heal()
    else if (dice < 0.88) this.#changeMembers()
    else if (dice < 0.91) this.#transfer()
    else if (dice < 0.94 && isUp) this.#faulty(() => this.#closeLinks(n))
    else if (dice > 0.94 && isUp && this.#mayLoseLog(n)) this.#faulty(() => this.#loseLog(n))
    this.#checkAnswers()
  }

  calm(): void {
    const cluster = this.#cluster
    cluster.heal()
    cluster.loss = 0
    cluster.duplicates = 0
    cluster.delayMs = [1, 5]
    cluster.diskMs = [1, 5]
    for (const { n, machine } of cluster.nodes) if (machine === undefined) cluster.start(n)
    let last: Asked | undefined
    cluster.runUntil(
      'a proposal committed in calm weather',
      () => {
        const { leader } = cluster
        if (leader !== undefined && (last === undefined || last.outcome === 'lost' || last.outcome === 'refused'))
          last = cluster.propose(leader, 'calm')
        return last?.outcome === 'committed'
      },
      CALM_MS,
    )
    const members = cluster.view(cluster.untilLeader()).members
    const isMember = (store: string) =>
      [...members.voters, ...members.learners].some((member) => member.store === store)
    const state = () => JSON.stringify(cluster.node(cluster.untilLeader()).state)
    cluster.runUntil(
      'all members have the same state',
      () => cluster.nodes.every((node) => !isMember(node.store) || JSON.stringify(node.state) === state()),
      CALM_MS,
    )
    for (const asked of [...this.#asked, ...this.#reads])
      assert.notEqual(asked.outcome, 'pending', 'an answer never came')
  }

  result(): StormResult {
    const { events, checker, nodes } = this.#cluster
    const confirmedReads = this.#reads.filter(({ outcome }) => outcome === 'committed').length
    const terms = Math.max(...nodes.map(({ n }) => this.#cluster.view(n).term))
    return {
      events,
      committed: checker.lastCommitted,
      confirmedReads,
      faults: this.#faults,
      lostLogs: this.#lostLogs,
      terms,
    }
  }

  #ask(n: number): void {
    const cluster = this.#cluster
    // Mostly the leader is asked, and at times one that only believes to be it.
    const leaders = cluster.nodes.filter(({ machine }) => machine?.leads === true)
    const asked = leaders.length > 0 && this.#chance.next() < 0.9 ? leaders[this.#pick(leaders.length)]?.n : n
    if (asked === undefined || cluster.node(asked).machine === undefined) return
    if (this.#chance.next() < 0.3) this.#reads.push(cluster.read(asked))
    else for (let i = this.#pick(4); i >= 0; i--) this.#asked.push(cluster.propose(asked, `${++this.#count}`))
  }

  /** One log at a time, and where those who are left can elect a leader whom none of them would hold up. */
  #mayLoseLog(n: number): boolean {
    const { nodes, leader } = this.#cluster
    if (leader === undefined || this.#someoneRecovers()) return false
    const { members } = this.#cluster.view(leader)
    const isVoter = (store: string) => members.voters.some((voter) => voter.store === store)
    const agrees = (node: number) => JSON.stringify(this.#cluster.view(node).members) === JSON.stringify(members)
    const voters = nodes.filter(({ store }) => isVoter(store))
    return (
      voters.length >= 3 && isVoter(voter(n).store) && voters.every((it) => it.machine !== undefined && agrees(it.n))
    )
  }

  #loseLog(n: number): void {
    this.#lostLogs++
    this.#cluster.loseLog(n)
  }

  #someoneRecovers(): boolean {
    return this.#cluster.nodes.some(({ disk }) => disk.hardState?.recovering === true)
  }

  #crash(n: number): void {
    this.#cluster.crash(n, this.#pick(3), this.#pick(8))
  }

  #cut(): void {
    const { nodes } = this.#cluster
    const a = this.#pick(nodes.length) + 1
    const b = this.#pick(nodes.length) + 1
    const kind = this.#chance.next()
    if (kind < 0.3) this.#cluster.isolate(a)
    else if (kind < 0.6)
      for (const { n } of nodes)
        if (n !== a) this.#cluster.cut(n, a)
        else if (kind < 0.8) this.#cluster.cut(a, b)
    if (kind >= 0.8) for (const { n } of nodes) if (n !== a) this.#cluster.cut(a, n)
  }

  #changeMembers(): void {
    const cluster = this.#cluster
    const { leader } = cluster
    if (leader === undefined || this.#someoneRecovers()) return
    const n = this.#pick(cluster.nodes.length) + 1
    const { store } = voter(n)
    const kind = this.#chance.next()
    const change =
      kind < 0.4
        ? ({ do: 'add-learner', member: voter(n) } as const)
        : kind < 0.8
          ? ({ do: 'promote', store } as const)
          : ({ do: 'remove', store } as const)
    cluster.step(leader, (machine, ctx) => {
      const request = machine.changeMembers(ctx, change)
      if ('refused' in request) return
      const asked: Asked = { outcome: 'pending', committedBefore: 0, at: cluster.now }
      cluster.node(leader).proposals.set(request.proposal, asked)
      this.#asked.push(asked)
    })
  }

  #transfer(): void {
    const { leader } = this.#cluster
    const n = this.#pick(this.#cluster.nodes.length) + 1
    if (leader !== undefined)
      this.#cluster.step(leader, (machine, ctx) => machine.transferLeadership(ctx, voter(n).store))
  }

  #closeLinks(n: number): void {
    const peer = voter(this.#pick(this.#cluster.nodes.length) + 1).store
    this.#cluster.step(n, (machine, ctx) => machine.onPeerLost(ctx, peer))
  }

  #checkAnswers(): void {
    const { now } = this.#cluster
    for (const read of this.#reads)
      if (read.outcome === 'pending') assert.ok(now - read.at < ANSWER_MS, 'a read was neither answered nor given up')
  }

  #faulty(act: () => void): void {
    this.#faults++
    act()
  }

  #pick(count: number): number {
    return Math.floor(this.#chance.next() * count)
  }
}
