import type { LogEntry } from '@ashlar/node/core'
import {
  type ClusterId,
  type ExtentRecord,
  FEATURE_LEVEL,
  type Message,
  type NodeName,
  type SessionId,
  TIMERS,
} from '@ashlar/proto'
import { addressOf, type Cluster, type Draft, nodeOf } from './cluster.ts'
import { type Events, TICK } from './events.ts'
import { BLOCK_BYTES, type Call, CONTROL, type NodeState, storeName } from './state.ts'

const BEGIN_WITHIN_MS = 20_000

/** Where a search begins: the schedules that lead a cluster there, the same in every run. */
export class Beginnings {
  private readonly cluster: Cluster
  private readonly events: Events

  constructor(cluster: Cluster, events: Events) {
    this.cluster = cluster
    this.events = events
  }

  /** A bootstrapped cluster with one volume; no node is up. */
  private asleep(): Draft {
    const { scenario, images, size } = this.cluster
    const log = bootstrapLog(size, scenario.minInSync)
    const nodes = Array.from({ length: size }, (_, node) => ({
      up: false,
      counter: node === CONTROL ? 0 : 1,
      machine: 0,
      image: images.add({ replica: undefined, log: node === CONTROL ? log : [] }),
      queue: [],
    }))
    const call: Call = { state: 'new', node: 0, epoch: 0, again: false, since: 0 }
    const around = {
      writes: Array.from({ length: scenario.writes }, () => call),
      reads: Array.from({ length: scenario.reads }, () => call),
      history: [],
      applied: Array.from({ length: scenario.writes }, () => []),
      acknowledged: [],
      served: [],
      contents: [],
      retries: scenario.retries,
      crashes: scenario.crashes,
      cuts: scenario.cuts,
      delays: scenario.delays,
      pauses: scenario.pauses,
      tails: scenario.from === 'dark' ? 1 : 0,
      cut: undefined,
      apart: [],
    }
    return this.cluster.draft({ now: 10_000, connections: 0, nodes, wires: [], around })
  }

  begin(): Draft {
    const { from, stores } = this.cluster.scenario
    const draft = this.asleep()
    const last = stores
    for (let node = 0; node <= stores; node++) if (from !== 'joining' || node !== last) this.cluster.start(draft, node)
    this.events.follow(draft)
    if (from === 'opening') this.settle(draft, (message) => message.type === 'open')
    else this.settle(draft)
    if (from === 'reopening') this.restart(draft, last)
    if (from === 'joining') {
      this.passUntil(draft, 'the store that is away is removed', ({ inSync }) => inSync.length === stores - 1)
      this.cluster.start(draft, last)
      this.events.follow(draft)
    }
    if (from === 'apart') this.partApart(draft)
    if (from === 'dark') this.turnDark(draft)
    return draft
  }

  private restart(draft: Draft, node: number): void {
    this.cluster.crash(draft, node, false)
    this.events.follow(draft)
    this.cluster.start(draft, node)
    this.events.follow(draft)
  }

  /** Write 1 is answered. Then the power fails on every store. */
  private turnDark(draft: Draft): void {
    const before = draft.nodes.map(({ image }) => image)
    const [call] = this.events.of(draft).filter(({ name }) => name.startsWith('write 1 '))
    call?.happen(draft)
    this.settle(draft)
    if (draft.around.writes[0]?.state !== 'done') throw new Error('a search cannot begin: write 1 has no answer')
    for (let node = 1; node < this.cluster.size; node++) {
      this.cluster.crash(draft, node, false)
      draft.nodes[node] = { ...(draft.nodes[node] as NodeState), short: before[node] as number }
    }
    this.events.follow(draft)
  }

  /** All but two crash and are removed; they start again while the two are cut off, and control names one of them. */
  private partApart(draft: Draft): void {
    const { stores } = this.cluster.scenario
    const primary = nodeOf((this.cluster.truth(draft).record as ExtentRecord).primary.store)
    const all = Array.from({ length: stores }, (_, index) => index + 1)
    const [second = 0, ...others] = all.filter((node) => node !== primary)
    for (const node of others) this.cluster.crash(draft, node, false)
    this.events.follow(draft)
    this.passUntil(draft, 'two are left in sync', ({ inSync }) => inSync.length === 2)
    draft.around = { ...draft.around, apart: [primary, second] }
    for (const node of others) this.cluster.start(draft, node)
    this.events.follow(draft)
    this.settle(draft)
    const { epoch } = this.cluster.truth(draft).record as ExtentRecord
    const named = (record: ExtentRecord): boolean => nodeOf(record.primary.store) !== primary
    // What the new primary sends first is for the search to deliver.
    const opens = (message: Message): boolean => message.type === 'open' && message.epoch > epoch
    this.passUntil(draft, 'another primary is named', named, opens)
  }

  /** Time passes as it does for processes that run: in steps of a tick, and all that is sent arrives. */
  private passUntil(
    draft: Draft,
    what: string,
    condition: (record: ExtentRecord) => boolean,
    stop?: (message: Message) => boolean,
  ): void {
    for (const end = draft.now + BEGIN_WITHIN_MS; draft.now < end; draft.now += TIMERS.tickMs) {
      const { record } = this.cluster.truth(draft)
      if (draft.violations.length > 0 || (record !== undefined && condition(record))) return
      for (let node = 0; node < this.cluster.size; node++) this.cluster.feed(draft, node, TICK)
      this.events.follow(draft)
      this.settle(draft, stop)
    }
    throw new Error(`a search cannot begin: ${what}: not within ${BEGIN_WITHIN_MS} ms`)
  }

  /** Everything in flight arrives, in a fixed order, until nothing is or a message of this kind is in flight. */
  private settle(draft: Draft, until: (message: Message) => boolean = () => false): void {
    for (;;) {
      if (draft.wires.some(({ queue }) => queue.some((message) => until(this.cluster.messages.value(message))))) return
      const [event] = [...this.events.syncs(draft), ...this.events.deliveries(draft)]
      if (event === undefined) return
      event.happen(draft)
      this.events.follow(draft)
    }
  }
}

/** Control's log as bootstrap, registrations and the creation of a volume leave it. Node 0 holds no replica. */
function bootstrapLog(size: number, minInSync: number): LogEntry[] {
  const stores = Array.from({ length: size - 1 }, (_, index) => storeName(index + 1))
  const commands: LogEntry['command'][] = [
    {
      do: 'found',
      cluster: '0a51a400-0000-7000-8000-000000000000' as ClusterId,
      voters: [{ store: storeName(CONTROL), address: addressOf(CONTROL) }],
    },
    ...stores.map((store) => {
      const node = nodeOf(store)
      return {
        do: 'register' as const,
        store,
        name: `n${node}` as NodeName,
        address: addressOf(node),
        api: `n${node}:7001`,
        incarnation: { bootId: `n${node}-1`, counter: 1 },
        trust: 'trusted' as const,
        live: [],
      }
    }),
    {
      do: 'create-volume',
      name: 'disk',
      sizeBytes: 2 * BLOCK_BYTES,
      blockSizeBytes: BLOCK_BYTES,
      extentSizeBytes: 4096 * BLOCK_BYTES,
      replicas: stores.length,
      minInSync,
      live: stores,
    },
    {
      do: 'attach',
      name: 'disk',
      holder: { session: 1 as SessionId, client: 'client', mode: 'exclusive' },
      ifFree: false,
    },
    { do: 'raise-feature-level', level: FEATURE_LEVEL },
  ]
  return commands.map((command, index) => ({ index: index + 1, term: 1, command }))
}
