import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type AdminCommand,
  type ClusterId,
  type Message,
  type NodeName,
  type StoreId,
  TIMERS,
  type ToLeader,
  WIRE_VERSION,
} from '@ashlar/proto'
import { encodeFrame, FrameQueue } from '@ashlar/proto/codec'
import { ControlLeader } from '../../../packages/node/src/core/control/index.ts'
import type { Context, Effect, Link } from '../../../packages/node/src/core/machine.ts'
import { RaftMachine, type RaftOptions } from '../../../packages/node/src/core/raft/index.ts'
import { Pump } from '../../../packages/node/src/runtime/pump.ts'
import { type ControlLog, openControlLog } from '../../../packages/node/src/storage/control-log/index.ts'

export const CLUSTER = '00000000-0000-4000-8000-00000000c1a5' as ClusterId
const VOTER = storeNumber(0)

export function storeNumber(n: number): StoreId {
  return `00000000-0000-7000-8000-${String(n).padStart(12, '0')}` as StoreId
}

/** What the rig's machine is fed: what a node gives its control. */
type Fed =
  | { readonly type: 'tick' }
  | { readonly type: 'raft-persisted'; readonly token: number }
  | { readonly type: 'received'; readonly link: Link; readonly message: ToLeader }

/**
 * Control as one voter runs it: the shipped leader and log machine over the shipped pump, log files and frames. Store n
 * speaks over link n: it registers, renews, and watches the map, and the frames that it is sent are not read.
 */
export class ControlRig {
  readonly leader: ControlLeader
  readonly #raft: RaftMachine
  readonly #log: ControlLog
  readonly #pump: Pump
  readonly #ticker: NodeJS.Timeout
  readonly #queues = new Map<Link, FrameQueue<Message>>()
  readonly #renewing = new Set<number>()
  readonly #answers = new Map<number, (message: Message) => void>()
  #renewedAt = 0
  #request = 0
  /** Bytes of all frames so far. */
  frameBytes = 0
  failure: unknown

  private constructor(log: ControlLog, options: Partial<RaftOptions>) {
    this.#log = log
    const { hardState, snapshot, entries } = log
    let raft: RaftMachine | undefined
    this.leader = new ControlLeader((listener, snapshots) => {
      raft = new RaftMachine(
        { self: VOTER, hardState, snapshot, entries, options, snapshots },
        {
          send: () => undefined,
          persist: (ctx, request) => ctx.emit({ type: 'raft-persist', request }),
        },
        listener,
      )
      return raft
    })
    this.#raft = raft as unknown as RaftMachine
    this.#pump = new Pump({
      machine: { step: (now, input) => this.#step(now, input as Fed) },
      clock: () => performance.now(),
      checkClock: () => {},
      execute: (effect) => this.#execute(effect),
      flush: () => this.#flush(),
      onBroken: (error) => {
        this.failure = error
      },
    })
    const started = contextAt(performance.now(), [])
    this.#raft.start(started.ctx)
    this.#ticker = setInterval(() => this.#tick(), TIMERS.tickMs)
  }

  /** Opens the log in `directory`, or bootstraps a cluster of one voter there. */
  static async open(directory: string, options: Partial<RaftOptions>): Promise<ControlRig> {
    const log = await openControlLog(directory)
    if (log.entries.length > 0 || log.snapshot !== undefined) return new ControlRig(log, options)
    const voters = [{ store: VOTER, address: 'voter:7480' }]
    await log.append([{ index: 1, term: 1, command: { do: 'found', cluster: CLUSTER, voters } }])
    await log.close()
    return new ControlRig(await openControlLog(directory), options)
  }

  /** Registers store n, which renews its lease from then on. */
  async register(n: number): Promise<void> {
    await this.#ask(n, {
      type: 'register',
      request: ++this.#request,
      cluster: CLUSTER,
      store: storeNumber(n),
      name: `n${n}` as NodeName,
      address: `n${n}:7480`,
      api: `n${n}:7580`,
      incarnation: { bootId: 'boot', counter: 1 },
      trust: 'trusted',
    })
    this.#feed({ type: 'received', link: n, message: { type: 'get-map', have: 0, watch: true } })
    this.#renewing.add(n)
  }

  /** Store n renews no more: its lease runs out. */
  silence(n: number): void {
    this.#renewing.delete(n)
  }

  /** Asks control for a change over link 1 and gives its answer. */
  async admin(command: AdminCommand): Promise<Message> {
    return await this.#ask(1, { type: 'admin', request: ++this.#request, command })
  }

  /** A watcher without a map requests the whole map. */
  askForMap(link: Link): void {
    this.#feed({ type: 'received', link, message: { type: 'get-map', have: 0, watch: false } })
  }

  get snapshotIndex(): number {
    return this.#raft.view(performance.now()).snapshotIndex
  }

  get applied(): number {
    return this.#raft.applied
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker)
    this.#pump.stop()
    await this.#log.close()
  }

  #ask(link: Link, message: ToLeader & { readonly request: number }): Promise<Message> {
    return new Promise((resolve) => {
      this.#answers.set(message.request, resolve)
      this.#feed({ type: 'received', link, message })
    })
  }

  #feed(input: Fed): void {
    this.#pump.feed(input)
  }

  #tick(): void {
    this.#feed({ type: 'tick' })
    const now = performance.now()
    if (now - this.#renewedAt < TIMERS.renewMs) return
    this.#renewedAt = now
    const { revision } = this.leader.state
    for (const n of this.#renewing)
      this.#feed({
        type: 'received',
        link: n,
        message: { type: 'renew', token: 1, store: storeNumber(n), counter: 1, revision, freeBytes: 1e12 },
      })
  }

  #step(now: number, input: Fed): readonly Effect[] {
    const { ctx, effects } = contextAt(now, [])
    if (input.type === 'tick') {
      this.#raft.onTick(ctx)
      this.leader.onTick(ctx)
    } else if (input.type === 'raft-persisted') this.#raft.onPersisted(ctx, input.token)
    else this.leader.onMessage(ctx, input.link, input.message)
    this.leader.endStep(ctx)
    return effects
  }

  #execute(effect: Effect): void {
    if (effect.type === 'raft-persist') {
      const { token } = effect.request
      this.#log.persist(effect.request).then(
        () => this.#feed({ type: 'raft-persisted', token }),
        (error: unknown) => {
          this.failure = error
        },
      )
    }
    if (effect.type !== 'send') return
    const queue = this.#queues.get(effect.link) ?? new FrameQueue<Message>()
    this.#queues.set(effect.link, queue)
    queue.add(effect.message)
    if (!('request' in effect.message)) return
    this.#answers.get(effect.message.request)?.(effect.message)
    this.#answers.delete(effect.message.request)
  }

  #flush(): void {
    for (const queue of this.#queues.values())
      while (!queue.isEmpty) this.frameBytes += encodeFrame(queue.take(), WIRE_VERSION).length
  }
}

function contextAt(now: number, effects: Effect[]): { ctx: Context; effects: Effect[] } {
  const ctx: Context = {
    now,
    emit: (effect) => effects.push(effect),
    token: () => 0,
    random: () => 0.5,
    event: () => undefined,
  }
  return { ctx, effects }
}

/** Runs `work` with a directory for a log, which is removed afterwards. */
export async function withLogDirectory<T>(parent: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(parent, 'ashlar-control-'))
  try {
    return await work(join(directory, 'control'))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
