import assert from 'node:assert/strict'
import type { RaftMessage, StoreId, Voter } from '@ashlar/proto'
import type { Command, LogEntry, ProposalId, ReadId, SnapshotWriter } from '../../../src/core/control/index.ts'
import type { Context } from '../../../src/core/machine.ts'
import { Prng } from '../../../src/core/prng.ts'
import { RaftMachine, type RaftOptions, type RaftView } from '../../../src/core/raft/index.ts'
import { address, CLUSTER, store } from '../control/kit.ts'
import { RaftChecker } from './checker.ts'
import { RaftDisk } from './disk.ts'

const TICK_MS = 50
const STEP_MS = 10

export function voter(n: number): Voter {
  return { store: store(n), address: address(n) }
}

/** A command of which a person sees at once which one it is. */
export function named(name: string): Command {
  return { do: 'remove-volume', name }
}

export type Outcome = 'pending' | 'committed' | 'lost' | 'refused'
export interface Asked {
  outcome: Outcome
  /** Of a read: what was committed anywhere when it was requested. */
  readonly committedBefore: number
  readonly at: number
}

export interface ClusterOptions {
  readonly voters?: number
  /** Stores beside the voters, which begin with nothing. */
  readonly others?: number
  readonly seed?: number
  readonly raft?: Partial<RaftOptions>
  readonly delayMs?: readonly [number, number]
  readonly diskMs?: readonly [number, number]
  /** In how many slices a snapshot is taken and restored. */
  readonly snapshotSlices?: number
  readonly loss?: number
  readonly duplicates?: number
}

/** One store: its disk, and a machine while it runs. */
export class RaftNode {
  readonly disk: RaftDisk
  machine: RaftMachine | undefined
  /** What the state machine holds: names of the commands that were handed over, and how far. */
  state: { names: string[]; applied: number } = { names: [], applied: 0 }
  readonly proposals: Map<ProposalId, Asked> = new Map()
  readonly reads: Map<ReadId, Asked> = new Map()
  readonly n: number
  readonly store: StoreId
  leadership: boolean[] = []
  nextTickAt = 0
  /** False: requests stay with the disk until `completeDisk`. */
  diskWorks = true
  constructor(n: number, entries: readonly LogEntry[]) {
    this.n = n
    this.store = store(n)
    this.disk = new RaftDisk(entries)
  }
}

interface Flying {
  readonly message: RaftMessage
  readonly dueAt: number
}

/** Raft machines over a network and disks in memory, from one seed. The invariants are checked at every event. */
export class RaftCluster {
  now = 1000
  readonly nodes: readonly RaftNode[]
  readonly random: Prng
  readonly checker: RaftChecker
  readonly options: ClusterOptions
  readonly facts: string[] = []
  /** Messages for which it is false are lost. */
  passes: (message: RaftMessage) => boolean = () => true
  readonly sent: RaftMessage[] = []
  keepSent = false
  loss: number
  duplicates: number
  delayMs: readonly [number, number]
  diskMs: readonly [number, number]
  events = 0
  #flying: Flying[] = []
  readonly #cuts = new Set<string>()

  constructor(options: ClusterOptions = {}) {
    this.options = options
    this.random = new Prng(options.seed ?? 1)
    this.loss = options.loss ?? 0
    this.duplicates = options.duplicates ?? 0
    this.delayMs = options.delayMs ?? [1, 1]
    this.diskMs = options.diskMs ?? [1, 1]
    const count = options.voters ?? 3
    const voters = Array.from({ length: count }, (_, i) => voter(i + 1))
    const bootstrap: LogEntry = { index: 1, term: 1, command: { do: 'found', cluster: CLUSTER, voters } }
    this.nodes = Array.from(
      { length: count + (options.others ?? 0) },
      (_, i) => new RaftNode(i + 1, i === 0 ? [bootstrap] : []),
    )
    this.checker = new RaftChecker(() => this.nodes.map((node) => node.disk))
    for (const node of this.nodes) this.start(node.n)
  }

  node(n: number): RaftNode {
    const node = this.nodes[n - 1]
    assert.ok(node !== undefined)
    return node
  }

  view(n: number): RaftView {
    const { machine } = this.node(n)
    assert.ok(machine !== undefined, `store ${n} does not run`)
    return machine.view(this.now)
  }

  #inSlices(bytes: Uint8Array): SnapshotWriter {
    const count = this.options.snapshotSlices ?? 1
    let slice = 0
    return {
      next: () => {
        const at = (index: number) => Math.floor((bytes.length * index) / count)
        slice++
        return { bytes: bytes.subarray(at(slice - 1), at(slice)), last: slice === count }
      },
    }
  }

  // ---- lives -------------------------------------------------------------------------------------------------------

  start(n: number): void {
    const node = this.node(n)
    const { random } = this
    node.state = { names: [], applied: 0 }
    node.nextTickAt = this.now + Math.floor(random.next() * TICK_MS)
    node.machine = new RaftMachine(
      {
        self: node.store,
        ...node.disk.open(),
        options: this.options.raft ?? {},
        snapshots: {
          take: () => this.#inSlices(new TextEncoder().encode(JSON.stringify(node.state))),
          restore: (bytes) => {
            let slices = this.options.snapshotSlices ?? 1
            return {
              next: () => {
                if (--slices > 0) return false
                node.state = JSON.parse(new TextDecoder().decode(bytes))
                return true
              },
            }
          },
        },
      },
      {
        send: (_ctx, message) => this.#send(node, message),
        persist: (_ctx, request) => {
          this.checker.onPersist(request, node.disk.future())
          node.disk.waiting.push({ request, dueAt: this.now + this.#between(this.diskMs) })
        },
      },
      {
        onCommitted: (_ctx, entry, proposal) => this.#onCommitted(node, entry, proposal),
        onProposalLost: (_ctx, proposal) => settle(node.proposals, proposal, 'lost'),
        onReadIndex: (_ctx, read, confirmed) => {
          const asked = node.reads.get(read)
          if (confirmed) assert.ok(node.state.applied >= (asked?.committedBefore ?? 0), 'a read would be stale')
          settle(node.reads, read, confirmed ? 'committed' : 'lost')
        },
        onLeadership: (_ctx, leads) => node.leadership.push(leads),
      },
    )
    this.step(n, (machine, ctx) => machine.start(ctx))
  }

  /** The process dies with the power: of what its disk was asked, `whole` requests and `parts` of the next survive. */
  crash(n: number, whole = 0, parts = 0): void {
    const node = this.node(n)
    node.machine = undefined
    node.disk.crash(whole, parts)
    for (const asked of [...node.proposals.values(), ...node.reads.values()])
      if (asked.outcome === 'pending') asked.outcome = 'lost'
    node.proposals.clear()
    node.reads.clear()
  }

  /** The process dies, and starts over a directory whose log is gone. */
  loseLog(n: number): void {
    this.crash(n)
    this.node(n).disk.loseLog()
    this.start(n)
  }

  restart(n: number): void {
    if (this.node(n).machine !== undefined) this.crash(n)
    this.start(n)
  }

  // ---- the network ---------------------------------------------------------------------------------------------------

  /** Nothing that `from` sends reaches `to`. */
  cut(from: number, to: number): void {
    this.#cuts.add(`${store(from)}>${store(to)}`)
  }

  isolate(n: number): void {
    for (const { n: other } of this.nodes) {
      if (other === n) continue
      this.cut(n, other)
      this.cut(other, n)
    }
  }

  heal(): void {
    this.#cuts.clear()
  }

  /** Takes every message out of the network. */
  takeFlying(): RaftMessage[] {
    const taken = this.#flying.map(({ message }) => message)
    this.#flying = []
    return taken
  }

  deliver(message: RaftMessage): void {
    const node = this.nodes.find((it) => it.store === message.to)
    if (node?.machine !== undefined) this.step(node.n, (machine, ctx) => machine.onMessage(ctx, message))
  }

  // ---- what people ask -------------------------------------------------------------------------------------------------

  propose(n: number, name: string): Asked {
    const asked: Asked = { outcome: 'pending', committedBefore: 0, at: this.now }
    this.step(n, (machine, ctx) => {
      const proposal = machine.propose(ctx, named(name))
      if (proposal === undefined) asked.outcome = 'refused'
      else this.node(n).proposals.set(proposal, asked)
    })
    return asked
  }

  read(n: number): Asked {
    const asked: Asked = { outcome: 'pending', committedBefore: this.checker.lastCommitted, at: this.now }
    this.step(n, (machine, ctx) => {
      const read = machine.readIndex(ctx)
      if (read === undefined) asked.outcome = 'refused'
      else this.node(n).reads.set(read, asked)
    })
    return asked
  }

  /** The store that leads and may propose, with the highest term. */
  get leader(): number | undefined {
    const leaders = this.nodes.filter((node) => node.machine?.leads === true)
    return leaders.sort((a, b) => this.view(b.n).term - this.view(a.n).term)[0]?.n
  }

  // ---- time --------------------------------------------------------------------------------------------------------------

  runFor(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) this.#advance()
  }

  /** Runs until the condition holds; fails when it does not within `ms`. */
  runUntil(what: string, condition: () => boolean, ms = 10_000): void {
    for (const end = this.now + ms; !condition(); this.#advance())
      assert.ok(this.now < end, `${what}: not within ${ms} ms; ${this.describe()}`)
  }

  untilLeader(): number {
    this.runUntil('a leader', () => this.leader !== undefined)
    return this.leader as number
  }

  describe(): string {
    return this.nodes
      .map(({ n, machine }) => {
        if (machine === undefined) return `${n} down`
        const { role, term, lastIndex, commit } = this.view(n)
        return `${n} ${role} term ${term} last ${lastIndex} commit ${commit}`
      })
      .join('; ')
  }

  /** One step of one machine, as the node's shell makes it. */
  step(n: number, input: (machine: RaftMachine, ctx: Context) => void): void {
    const node = this.node(n)
    const { machine } = node
    assert.ok(machine !== undefined, `store ${n} does not run`)
    const ctx = this.#context()
    this.events++
    input(machine, ctx)
    machine.endStep(ctx)
    const { role, term } = machine.view(this.now)
    if (role === 'leader') this.checker.onLeader(node.store, term, node.disk.future())
  }

  /** The disk of a store writes its oldest request. */
  completeDisk(n: number): void {
    const { token } = this.node(n).disk.complete()
    this.step(n, (machine, ctx) => machine.onPersisted(ctx, token))
  }

  #advance(): void {
    this.now += STEP_MS
    for (const node of this.nodes) {
      const due = () => node.disk.waiting[0] !== undefined && node.disk.waiting[0].dueAt <= this.now
      while (node.machine !== undefined && node.diskWorks && due()) this.completeDisk(node.n)
    }
    const due = this.#flying.filter(({ dueAt }) => dueAt <= this.now).sort((a, b) => a.dueAt - b.dueAt)
    this.#flying = this.#flying.filter(({ dueAt }) => dueAt > this.now)
    for (const { message } of due) this.deliver(message)
    for (const node of this.nodes) {
      if (node.machine === undefined || node.nextTickAt > this.now) continue
      node.nextTickAt = this.now + TICK_MS
      this.step(node.n, (machine, ctx) => machine.onTick(ctx))
    }
  }

  #send(node: RaftNode, message: RaftMessage): void {
    this.checker.onSend(message, node.disk)
    if (this.keepSent) this.sent.push(message)
    if (this.#cuts.has(`${message.from}>${message.to}`) || !this.passes(message)) return
    const copies = this.random.next() < this.duplicates ? 2 : 1
    for (let i = 0; i < copies; i++)
      if (this.random.next() >= this.loss) this.#flying.push({ message, dueAt: this.now + this.#between(this.delayMs) })
  }

  #onCommitted(node: RaftNode, entry: LogEntry, proposal: ProposalId | undefined): void {
    assert.equal(entry.index, node.state.applied + 1, 'entries are handed over in order, each once')
    assert.ok(node.disk.has(entry.index, entry.term), 'an entry was handed over before it was durable here')
    node.state.applied = entry.index
    this.checker.onCommitted(entry, this.view(node.n).members.voters.length)
    if (entry.command.do === 'remove-volume') node.state.names.push(entry.command.name)
    if (proposal !== undefined) settle(node.proposals, proposal, 'committed')
  }

  #between([from, to]: readonly [number, number]): number {
    return from + this.random.next() * (to - from)
  }

  #context(): Context {
    return {
      now: this.now,
      emit: () => assert.fail('the machine speaks through its ports'),
      token: () => assert.fail('the machine numbers its own requests'),
      random: () => this.random.next(),
      event: (_level, what) => {
        this.facts.push(what)
      },
    }
  }
}

function settle<Id>(asked: Map<Id, Asked>, id: Id, outcome: Outcome): void {
  const known = asked.get(id)
  assert.equal(known?.outcome, 'pending', 'an answer to something that was never asked, or answered before')
  if (known !== undefined) known.outcome = outcome
  asked.delete(id)
}
