import type { Epoch, Message, SessionId } from '@ashlar/proto'
import { type Cluster, type Draft, nodeOf, PROGRAM_LINK, payloadOf } from './cluster.ts'
import { READ_REQUEST, WRITE_REQUEST } from './rules.ts'
import { BLOCK_BYTES, type Call, CONTROL, EXTENT, type NodeState, type State, type Wire } from './state.ts'

/** One thing that may happen in a state. */
export interface Event {
  readonly name: string
  happen(draft: Draft): void
}

/**
 * Steps of passing time: the next tick, then further ones until something happens; no process pauses meanwhile.
 */
const PASSING_MS = [60, ...Array.from({ length: 12 }, () => 400)]

/** Everything that may happen in one state. */
export class Events {
  private readonly cluster: Cluster

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  of(state: State): Event[] {
    const onItsWay = [...this.deliveries(state), ...this.syncs(state)]
    const calls = [...this.calls(state, 'writes'), ...this.calls(state, 'reads')]
    return [...onItsWay, ...calls, ...this.faults(state), ...this.passing(state, onItsWay.length === 0)]
  }

  deliveries(state: State): Event[] {
    const events: Event[] = []
    for (const [at, wire] of state.wires.entries()) {
      const { connection, from, to, queue, dying } = wire
      if (this.isCut(state, wire)) continue
      const [message] = queue
      if (message !== undefined) {
        events.push({
          name: `n${from} to n${to}: ${nameOf(this.cluster.messages.value(message))}`,
          happen: (draft) => this.deliver(draft, at),
        })
      }
      if (dying) {
        events.push({
          name: `n${to} learns that its connection ${connection} with n${from} is gone`,
          happen: (draft) => this.end(draft, wire),
        })
      }
    }
    return events
  }

  syncs(state: State): Event[] {
    const waiting = [...state.nodes.keys()].filter((node) => (state.nodes[node] as NodeState).queue.length > 0)
    return waiting.map((node) => ({
      name: `n${node} syncs ${(state.nodes[node] as NodeState).queue.length} writes`,
      happen: (draft) => this.cluster.sync(draft, node),
    }))
  }

  private deliver(draft: Draft, at: number): void {
    const wire = draft.wires[at] as Wire
    const [message, ...queue] = wire.queue
    if (message === undefined) return
    draft.wires[at] = { ...wire, queue }
    this.cluster.receive(draft, wire.to, wire.connection, message)
  }

  private isCut({ around }: State, { from, to }: Wire): boolean {
    const { cut, apart } = around
    if (apart.includes(from) !== apart.includes(to)) return true
    return cut !== undefined && ((from === cut && to === CONTROL) || (from === CONTROL && to === cut))
  }

  // ---- programs -----------------------------------------------------------------------------------------------------------

  /** Each call goes to every store that was ever named primary and still runs in that incarnation, under that epoch. */
  private calls(state: State, kind: 'writes' | 'reads'): Event[] {
    const events: Event[] = []
    for (const [index, call] of state.around[kind].entries()) {
      const again = call.state === 'open'
      if (call.state !== 'new' && !(again && kind === 'writes' && state.around.retries > 0)) continue
      for (const [epoch, { store, counter }] of this.cluster.truth(state).named) {
        const node = nodeOf(store)
        const { up, counter: now } = state.nodes[node] as NodeState
        if (!up || now !== counter) continue
        const what = `${kind === 'writes' ? 'write' : 'read'} ${index + 1}`
        events.push({
          name: `${what} goes to n${node} in epoch ${epoch}${again ? ' again' : ''}`,
          happen: (draft) =>
            this.call(draft, kind, index, { state: 'sent', node, epoch, again, since: newestServed(state) }),
        })
      }
      // Calls of one kind are alike: the next one follows.
      if (call.state === 'new') break
    }
    return events
  }

  private call(draft: Draft, kind: 'writes' | 'reads', index: number, call: Call): void {
    const { around } = draft
    const number = index + 1
    const block = kind === 'writes' ? this.cluster.rules.blockOf(number) : 0
    const begun = `${kind[0]}${number}(`
    const isNew = block === 0 && !around.history.includes(begun)
    draft.around = {
      ...around,
      [kind]: around[kind].with(index, call),
      history: isNew ? [...around.history, begun] : around.history,
      retries: around.retries - (call.again ? 1 : 0),
    }
    const message = kind === 'writes' ? writeOf(number, block, call.epoch) : readOf(number, call.epoch)
    this.cluster.receive(draft, call.node, PROGRAM_LINK, this.cluster.messages.of(message))
  }

  // ---- misfortunes ----------------------------------------------------------------------------------------------------------

  private faults(state: State): Event[] {
    const { around, nodes } = state
    if (around.tails > 0) return this.lostTails(state)
    const events: Event[] = []
    for (const [node, { up, queue }] of nodes.entries()) {
      if (!up) events.push({ name: `n${node} starts`, happen: (draft) => this.cluster.start(draft, node) })
      const mayCrash = up && around.crashes > 0 && (node !== CONTROL || this.cluster.scenario.victims === 'all')
      for (const survives of mayCrash ? (queue.length > 0 ? [false, true] : [false]) : []) {
        const rest =
          queue.length === 0 ? '' : survives ? ', its unsynced writes survive' : ', its unsynced writes are lost'
        events.push({ name: `n${node} crashes${rest}`, happen: (draft) => this.crash(draft, node, survives) })
      }
    }
    const primary = this.cluster.truth(state).record?.primary
    if (around.cuts > 0 && around.cut === undefined && primary !== undefined) {
      const cut = nodeOf(primary.store)
      events.push({
        name: `n${cut} is cut from control`,
        happen: (draft) => {
          draft.around = { ...draft.around, cuts: draft.around.cuts - 1, cut }
        },
      })
    }
    if (around.cut !== undefined) {
      events.push({
        name: `n${around.cut} reaches control again`,
        happen: (draft) => {
          draft.around = { ...draft.around, cut: undefined }
        },
      })
    }
    return events
  }

  /** Each store may be the one; after that no store has another image to go back to. */
  private lostTails({ nodes }: State): Event[] {
    return [...nodes.keys()]
      .filter((node) => nodes[node]?.short !== undefined)
      .map((loser) => ({
        name: `n${loser} lost its last write without a sign`,
        happen: (draft) => {
          draft.around = { ...draft.around, tails: draft.around.tails - 1 }
          for (const [node, { short, ...rest }] of draft.nodes.entries())
            draft.nodes[node] = node === loser && short !== undefined ? { ...rest, image: short } : rest
        },
      }))
  }

  private crash(draft: Draft, node: number, survives: boolean): void {
    this.cluster.crash(draft, node, survives)
    const over = (calls: readonly Call[]): Call[] =>
      calls.map((call) => (call.state === 'sent' && call.node === node ? { ...call, state: 'open' } : call))
    const { around } = draft
    draft.around = { ...around, crashes: around.crashes - 1, writes: over(around.writes), reads: over(around.reads) }
  }

  // ---- time -------------------------------------------------------------------------------------------------------------------

  /** Where nothing is wrong and no call waits, time changes nothing. */
  private isDisturbed(state: State): boolean {
    const { around, nodes } = state
    const { record } = this.cluster.truth(state)
    const waits = [...around.writes, ...around.reads].some((call) => call.state === 'sent')
    const out = record === undefined || record.inSync.length < record.assigned.length
    return waits || out || around.cut !== undefined || nodes.some(({ up }) => !up) || !this.isServed(state)
  }

  private isServed(state: State): boolean {
    const { record } = this.cluster.truth(state)
    return state.around.served.some((incarnation) => incarnation.startsWith(`${record?.epoch}:`))
  }

  private passing(state: State, atRest: boolean): Event[] {
    const { pauses, delays } = state.around
    if (pauses === 0 || (!atRest && delays === 0) || !this.isDisturbed(state)) return []
    return [
      {
        name: atRest ? 'time passes' : 'time passes, and what is in flight is late',
        happen: (draft) => {
          draft.around = { ...draft.around, pauses: pauses - 1, delays: atRest ? delays : delays - 1 }
          this.pass(draft)
        },
      },
    ]
  }

  /**
   * What follows an event at once, so that it needs no order among the others: heartbeats arrive unless something is on
   * its way before them; a peer learns of a connection that is gone when nothing more can come over it; and control's
   * disk is quick where control does not crash, for until then its decision is unknown.
   */
  follow(draft: Draft): void {
    do {
      if (this.cluster.scenario.victims === 'stores') this.syncControl(draft)
      this.deliverChatter(draft)
      this.endConnections(draft)
    } while (this.cluster.scenario.victims === 'stores' && (draft.nodes[CONTROL] as NodeState).queue.length > 0)
  }

  private syncControl(draft: Draft): void {
    while ((draft.nodes[CONTROL] as NodeState).queue.length > 0) this.cluster.sync(draft, CONTROL)
  }

  private endConnections(draft: Draft): void {
    for (;;) {
      const wire = draft.wires.find(({ dying, queue }) => dying && queue.length === 0)
      if (wire === undefined) return
      this.end(draft, wire)
    }
  }

  private end(draft: Draft, { connection, to }: Wire): void {
    draft.wires = draft.wires.filter((other) => other.connection !== connection || other.to !== to)
    this.cluster.feed(draft, to, { type: 'link-down', link: connection })
  }

  /**
   * Time passes until a process does something by itself. Heartbeats arrive unless something is in flight before them.
   */
  pass(draft: Draft): void {
    draft.moved = false
    for (const step of PASSING_MS) {
      draft.now += step
      for (let node = 0; node < this.cluster.size; node++) this.cluster.feed(draft, node, TICK)
      this.deliverChatter(draft)
      if (draft.moved) return
    }
  }

  private deliverChatter(draft: Draft): void {
    for (let delivered = true; delivered; ) {
      delivered = false
      for (let at = 0; at < draft.wires.length; at++) {
        const wire = draft.wires[at] as Wire
        const [message] = wire.queue
        if (message === undefined || !this.cluster.isChatter(message) || this.isCut(draft, wire)) continue
        this.deliver(draft, at)
        delivered = true
      }
    }
  }
}

function newestServed({ around }: State): number {
  return Math.max(0, ...around.served.map((incarnation) => Number.parseInt(incarnation, 10)))
}

export const TICK = { type: 'tick' } as const

const operation = (op: number) => ({ session: 1 as SessionId, op, lowMark: 1, generation: 1 })
const writes = new Map<string, Message>()

function writeOf(write: number, block: number, epoch: number): Message {
  const key = `${write} ${block} ${epoch}`
  let message = writes.get(key)
  if (message === undefined) {
    message = {
      type: 'write',
      request: WRITE_REQUEST + write,
      extent: EXTENT,
      epoch: epoch as Epoch,
      operation: operation(write),
      offset: block * BLOCK_BYTES,
      ...payloadOf(write),
    }
    writes.set(key, message)
  }
  return message
}

function readOf(read: number, epoch: number): Message {
  return {
    type: 'read',
    request: READ_REQUEST + read,
    extent: EXTENT,
    epoch: epoch as Epoch,
    generation: 0,
    offset: 0,
    length: BLOCK_BYTES,
  }
}

function nameOf(message: Message): string {
  const { type } = message
  if (type === 'replicate' || type === 'ack') return `${type} ${message.seq}`
  if (type === 'push') return `push of block ${message.block}`
  if (type === 'open' || type === 'opened' || type === 'mark') return `${type} of epoch ${message.epoch}`
  return type
}
