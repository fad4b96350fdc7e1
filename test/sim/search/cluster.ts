import { crc32 } from 'node:zlib'
import type { Effect, Input, NodeStart } from '@ashlar/node/core'
import {
  type ClusterId,
  FEATURE_LEVEL,
  type Message,
  type NodeName,
  type StoreId,
  splitBlocks,
  WIRE_VERSION,
} from '@ashlar/proto'
import { stamped } from '../workload/stamps.ts'
import { Numbers } from './fingerprint.ts'
import { type DiskWrite, Images, type Truth, Truths } from './images.ts'
import { LocalStates } from './local-states.ts'
import { Rules } from './rules.ts'
import {
  BLOCK_BYTES,
  CONTROL,
  EXTENT,
  type NodeState,
  type Scenario,
  type State,
  storeName,
  type Wire,
} from './state.ts'

/** The connection on which programs send their requests, at every node. */
export const PROGRAM_LINK = 1_000_000
const CLUSTER = '0a51a400-0000-7000-8000-000000000000' as ClusterId
/** Heartbeats: they change only when a peer was last heard, and until when a lease holds. */
const CHATTER: ReadonlySet<Message['type']> = new Set(['greet', 'ping', 'renew', 'renewed'])

/** A state that is being changed: one event of a search, from its beginning to its end. */
export interface Draft extends State {
  now: number
  connections: number
  readonly nodes: NodeState[]
  wires: Wire[]
  around: State['around']
  /** What was found broken. */
  readonly violations: string[]
  /** Something was sent or written that is more than a heartbeat. */
  moved: boolean
}

/** Everything that states name by numbers, and what one input to one node does to a state. */
export class Cluster {
  readonly scenario: Scenario
  readonly locals = new LocalStates()
  readonly images = new Images()
  readonly messages = new Numbers<Message>()
  private readonly truths = new Truths()
  readonly rules: Rules
  private readonly begun = new Map<string, number>()
  private readonly received = new Map<string, Input>()

  constructor(scenario: Scenario) {
    this.scenario = scenario
    this.rules = new Rules(this)
  }

  get size(): number {
    return this.scenario.stores + 1
  }

  draft(state: State): Draft {
    return { ...state, nodes: [...state.nodes], wires: [...state.wires], violations: [], moved: false }
  }

  // ---- processes ----------------------------------------------------------------------------------------------------

  /** Starts a node over what is on its disk, and connects it with every node that is up. */
  start(draft: Draft, node: number): void {
    const before = draft.nodes[node] as NodeState
    const counter = before.counter + 1
    const machine = this.begin(node, counter, before.image)
    draft.nodes[node] = { ...before, up: true, counter, machine }
    this.feed(draft, node, { type: 'tick' })
    const program = { kind: 'client', wire: WIRE_VERSION, name: 'program' } as const
    this.feed(draft, node, { type: 'link-up', link: PROGRAM_LINK, direction: 'in', peer: program })
    for (let other = 0; other < this.size; other++) {
      if (other === node || draft.nodes[other]?.up !== true) continue
      this.connect(draft, node, other)
      this.connect(draft, other, node)
    }
  }

  private begin(node: number, counter: number, image: number): number {
    const key = `${node} ${counter} ${image}`
    let machine = this.begun.get(key)
    if (machine === undefined) {
      machine = this.locals.begin(this.startOf(node, counter, image))
      this.begun.set(key, machine)
    }
    return machine
  }

  private connect(draft: Draft, dialer: number, target: number): void {
    const connection = ++draft.connections
    const wire = { connection, queue: [], dying: false }
    draft.wires.push({ ...wire, from: dialer, to: target }, { ...wire, from: target, to: dialer })
    this.feed(draft, target, { type: 'link-up', link: connection, direction: 'in', peer: this.peer(draft, dialer) })
    this.feed(draft, dialer, { type: 'link-up', link: connection, direction: 'out', peer: this.peer(draft, target) })
  }

  private peer(draft: Draft, node: number) {
    const { counter } = draft.nodes[node] as NodeState
    return {
      kind: 'node',
      wire: WIRE_VERSION,
      store: storeName(node),
      counter,
      address: addressOf(node),
      level: FEATURE_LEVEL,
    } as const
  }

  /** `survives`: what was written and not synced is on the disk all the same. */
  crash(draft: Draft, node: number, survives: boolean): void {
    const { image, queue, ...rest } = draft.nodes[node] as NodeState
    const left = survives ? queue.reduce((at, write) => this.images.write(at, write), image) : image
    draft.nodes[node] = { ...rest, up: false, machine: 0, image: left, queue: [] }
    if (left !== image) this.rules.written(draft, node, image)
    draft.wires = draft.wires.filter((wire) => wire.to !== node)
    draft.wires = draft.wires.map((wire) => (wire.from === node ? { ...wire, dying: true } : wire))
  }

  private startOf(node: number, counter: number, image: number): NodeStart {
    const { replica, log } = this.images.get(image)
    return {
      store: storeName(node),
      name: `n${node}` as NodeName,
      address: addressOf(node),
      api: `n${node}:7001`,
      incarnation: { bootId: `n${node}-${counter}`, counter },
      trust: 'trusted',
      cluster: CLUSTER,
      voters: [{ store: storeName(CONTROL), address: addressOf(CONTROL) }],
      founded: node === CONTROL,
      featureLevel: FEATURE_LEVEL,
      peers: Array.from({ length: this.size }, (_, other) => addressOf(other)),
      expect: this.size,
      replicas: replica === undefined ? [] : [replica.stored(EXTENT)],
      log,
      seed: node,
    }
  }

  // ---- inputs and effects ---------------------------------------------------------------------------------------------

  /** One input to one node, with all that follows at once: what its store is asked to read is answered. */
  feed(draft: Draft, node: number, input: Input): void {
    const state = draft.nodes[node] as NodeState
    if (!state.up) return
    try {
      const { next, effects } = this.locals.step(state.machine, draft.now, input)
      draft.nodes[node] = { ...state, machine: next }
      const answers: Input[] = []
      for (const effect of effects) this.executeEffects(draft, node, effect, answers)
      for (const answer of answers) this.feed(draft, node, answer)
    } catch (error) {
      if ((error as Error).name !== 'InvariantError' && !/invariant/i.test(String(error))) throw error
      draft.violations.push(`machine: node ${node} threw: ${String(error)}`)
    }
  }

  receive(draft: Draft, node: number, link: number, message: number): void {
    const key = `${link} ${message}`
    let input = this.received.get(key)
    if (input === undefined) {
      input = { type: 'received', link, message: this.messages.value(message) }
      this.received.set(key, input)
    }
    this.feed(draft, node, input)
  }

  private executeEffects(draft: Draft, node: number, effect: Effect, answers: Input[]): void {
    switch (effect.type) {
      case 'send':
        return this.send(draft, node, effect.link, effect.message)
      case 'commit':
      case 'create-replica':
      case 'log-append':
        return this.write(draft, node, effect)
      case 'load':
      case 'digests':
      case 'versions': {
        const answer = this.read(draft, node, effect)
        if (answer !== undefined) answers.push(answer)
        return
      }
      case 'reply-read':
        return this.rules.readAnswered(draft, node, effect)
      case 'close-link':
        return this.close(draft, node, effect.link, answers)
      case 'event':
        if (effect.event.what === 'extent-active') this.rules.activated(draft, node, effect.event['epoch'] as number)
        return
      case 'dial':
      case 'admin-done':
        return
      default:
        throw new Error(`a search has no place for the effect ${effect.type}`)
    }
  }

  private send(draft: Draft, node: number, link: number, message: Message): void {
    this.rules.sending(draft, node, message)
    if (link === PROGRAM_LINK) {
      if (message.type === 'answer') this.rules.answered(draft, node, message)
      return
    }
    const at = draft.wires.findIndex((wire) => wire.connection === link && wire.from === node)
    const wire = draft.wires[at]
    if (wire === undefined) return
    const number = this.messages.of(message)
    if (!CHATTER.has(message.type)) draft.moved = true
    if (message.type === 'ping' && wire.queue.at(-1) === number) return
    draft.wires[at] = { ...wire, queue: [...wire.queue, number] }
  }

  private write(draft: Draft, node: number, effect: DiskWrite): void {
    draft.moved = true
    if (effect.type === 'commit') this.rules.changing(draft, node, effect.change)
    const state = draft.nodes[node] as NodeState
    draft.nodes[node] = { ...state, queue: [...state.queue, this.images.writes.of(effect)] }
  }

  /** Everything that waits is on stable storage, and the machine is notified. */
  sync(draft: Draft, node: number): void {
    const { queue, image } = draft.nodes[node] as NodeState
    const after = queue.reduce((at, write) => this.images.write(at, write), image)
    draft.nodes[node] = { ...(draft.nodes[node] as NodeState), image: after, queue: [] }
    this.rules.written(draft, node, image)
    for (const write of queue) {
      const effect = this.images.writes.value(write)
      if (effect.type === 'commit') this.feed(draft, node, committed(effect.token))
      if (effect.type === 'log-append') this.feed(draft, node, logAppended(effect.index))
    }
  }

  /** What a read sees: every write so far, synced or not. */
  visible({ image, queue }: NodeState): number {
    return queue.reduce((at, write) => this.images.write(at, write), image)
  }

  private read(
    draft: Draft,
    node: number,
    effect: Extract<Effect, { type: 'load' | 'digests' | 'versions' }>,
  ): Input | undefined {
    const { replica } = this.images.get(this.visible(draft.nodes[node] as NodeState))
    if (replica === undefined) return undefined
    const { token } = effect
    if (effect.type === 'load') {
      return { type: 'loaded', token, blocks: effect.blocks.map((block) => replica.load(block)) }
    }
    const { digests } = replica.versions
    if (effect.type === 'digests') {
      return { type: 'digests', token, root: digests.rootBytes(), leaves: digests.leafBytes() }
    }
    const leaves = effect.leaves.map((leaf) => ({ leaf, versions: replica.versions.versionsOf(leaf) }))
    return { type: 'versions', token, leaves }
  }

  private close(draft: Draft, node: number, link: number, answers: Input[]): void {
    draft.wires = draft.wires
      .filter((wire) => wire.connection !== link || wire.to !== node)
      .map((wire) => (wire.connection === link ? { ...wire, dying: true } : wire))
    answers.push({ type: 'link-down', link })
  }

  // ---- what is true -----------------------------------------------------------------------------------------------------

  truth(state: State): Truth {
    return this.truthOf((state.nodes[CONTROL] as NodeState).image)
  }

  truthOf(image: number): Truth {
    return this.truths.of(this.images.get(image).log)
  }

  isChatter(message: number): boolean {
    return CHATTER.has(this.messages.value(message).type)
  }
}

const completions = new Map<string, Input>()

function committed(token: number): Input {
  return kept(`c${token}`, () => ({ type: 'committed', token }))
}

function logAppended(index: number): Input {
  return kept(`l${index}`, () => ({ type: 'log-appended', index }))
}

function kept(key: string, make: () => Input): Input {
  let input = completions.get(key)
  if (input === undefined) {
    input = make()
    completions.set(key, input)
  }
  return input
}

export function addressOf(node: number): string {
  return `n${node}:7000`
}

export function nodeOf(store: StoreId): number {
  return Number(store.at(-1))
}

/** The bytes of one write, and the checksum of its one block. Write 1 stamps with 1. */
const payloads = [0, 1, 2, 3].map((value) => stamped(value, BLOCK_BYTES))
const checksums = payloads.map((payload) => splitBlocks(BLOCK_BYTES, 0, payload.length).map(() => crc32(payload)))

export function payloadOf(write: number): { payload: Uint8Array; checksums: readonly number[] } {
  return { payload: payloads[write] as Uint8Array, checksums: checksums[write] as number[] }
}
