import assert from 'node:assert/strict'
import type {
  AdminCommand,
  ExtentRecord,
  Message,
  SessionId,
  SetChange,
  StoreId,
  StoreSpace,
  ToLeader,
  Trust,
} from '@ashlar/proto'
import { LIMITS, MIB } from '@ashlar/proto'
import type { LogEntry } from '../../../src/core/control/index.ts'
import { ControlLeader } from '../../../src/core/control/index.ts'
import type { Effect, Link } from '../../../src/core/machine.ts'
import { address, CLUSTER, EXTENT, found, incarnation, messagesOf, numberOf, Script, store } from './kit.ts'
import { SoloLog } from './solo-log.ts'

/** A leader with its log of one voter under a scripted clock and disk. Link n leads to store n. */
export class LeaderRig {
  readonly ctx: Script = new Script()
  /** Entries on stable storage, for the next start of the leader. */
  readonly disk: LogEntry[]
  /** Entries handed to the disk that it has not written yet. */
  #writing: LogEntry[] = []
  /** False: entries stay in `#writing` until `flushLog`. */
  diskWorks = true
  leader!: ControlLeader
  #log!: SoloLog
  #request = 0
  #token = 0
  #answers: { link: Link; message: Message }[] = []

  readonly #extentsPerTick: number | undefined

  constructor(disk: LogEntry[] = [{ index: 1, term: 1, command: found() }], extentsPerTick?: number) {
    this.disk = disk
    this.#extentsPerTick = extentsPerTick
    this.restart()
  }

  /** The process ends and starts again over the same disk. */
  restart(): void {
    this.#writing = []
    this.leader = new ControlLeader((listener) => {
      this.#log = new SoloLog([...this.disk], listener)
      return this.#log
    }, this.#extentsPerTick)
    this.step(() => this.#log.start(this.ctx))
  }

  /** One step of the node: an input, the end of the step, and the disk if it works. */
  step(input: () => void): Effect[] {
    input()
    this.leader.endStep(this.ctx)
    const effects = this.#collect()
    while (this.diskWorks && this.#writing.length > 0) effects.push(...this.flushLog())
    return effects
  }

  /** The disk has written what it was given. */
  flushLog(): Effect[] {
    const written = this.#writing
    this.#writing = []
    this.disk.push(...written)
    const last = written.at(-1)
    if (last !== undefined) this.#log.onAppended(this.ctx, last.index)
    this.leader.endStep(this.ctx)
    return this.#collect()
  }

  #collect(): Effect[] {
    const effects = this.ctx.take()
    for (const effect of effects) {
      if (effect.type === 'log-append') this.#writing.push(effect.entry)
      if (effect.type === 'send') this.#answers.push({ link: effect.link, message: effect.message })
    }
    return effects
  }

  /** Messages sent to a link since the last call, in order. */
  answers(link: Link): Message[] {
    const taken = this.#answers.filter((answer) => answer.link === link).map((answer) => answer.message)
    this.#answers = this.#answers.filter((answer) => answer.link !== link)
    return taken
  }

  receive(link: Link, message: ToLeader): Message[] {
    return messagesOf(
      this.step(() => this.leader.onMessage(this.ctx, link, message)),
      link,
    )
  }

  tick(): Effect[] {
    return this.step(() => this.leader.onTick(this.ctx))
  }

  /** Lets time pass, with a tick every 50 ms; stores in `renewing` renew every 500 ms. */
  pass(ms: number, renewing: number[] = []): void {
    const end = this.ctx.now + ms
    while (this.ctx.now < end) {
      this.ctx.now += 50
      if (this.ctx.now % 500 === 0) for (const n of renewing) this.renew(n)
      this.tick()
    }
  }

  /** The same; each named store reports its feature level. */
  passTold(ms: number, levels: Readonly<Record<number, number>>): Effect[] {
    const effects: Effect[] = []
    const end = this.ctx.now + ms
    while (this.ctx.now < end) {
      this.ctx.now += 50
      if (this.ctx.now % 500 === 0) for (const [n, level] of Object.entries(levels)) this.renew(Number(n), { level })
      effects.push(...this.tick())
    }
    return effects
  }

  register(
    n: number,
    options: { counter?: number; request?: number; link?: Link; level?: number; trust?: Trust } = {},
  ): Message[] {
    return this.receive(options.link ?? n, {
      type: 'register',
      request: options.request ?? ++this.#request,
      cluster: CLUSTER,
      store: store(n),
      name: `n${n}` as never,
      address: address(n),
      api: '',
      incarnation: incarnation(options.counter ?? 1),
      trust: options.trust ?? 'trusted',
      ...(options.level === undefined ? {} : { level: options.level }),
    })
  }

  renew(
    n: number,
    options: {
      counter?: number
      revision?: number
      link?: Link
      space?: StoreSpace
      level?: number
      cleared?: boolean
    } = {},
  ): Message[] {
    return this.receive(options.link ?? n, {
      type: 'renew',
      token: ++this.#token,
      store: store(n),
      counter: options.counter ?? this.leader.state.nodes.get(store(n))?.incarnation.counter ?? 1,
      revision: options.revision ?? this.leader.state.revision,
      freeBytes: 1e12,
      ...(options.space === undefined ? {} : { space: options.space }),
      ...(options.level === undefined ? {} : { level: options.level }),
      ...(options.cleared === undefined ? {} : { cleared: options.cleared }),
    })
  }

  admin(link: Link, command: AdminCommand): Message[] {
    return this.receive(link, { type: 'admin', request: ++this.#request, command })
  }

  create(replicas = 3, extents = 1): Message[] {
    return this.admin(1, {
      do: 'create-volume',
      name: 'v1',
      sizeBytes: extents * LIMITS.minExtentBytes,
      blockSizeBytes: 4096,
      extentSizeBytes: 16 * MIB,
      replicas,
      minInSync: Math.ceil(replicas / 2),
    })
  }

  attach(link: Link, session: number, mode: 'exclusive' | 'read-only' = 'exclusive'): Message[] {
    return this.admin(link, {
      do: 'attach',
      name: 'v1',
      session: session as SessionId,
      mode,
      ifFree: false,
      client: `client-${session}`,
    })
  }

  changeSets(n: number, changes: readonly SetChange[], request: number = ++this.#request): Message[] {
    const counter = this.leader.state.nodes.get(store(n))?.incarnation.counter ?? 0
    return this.receive(n, { type: 'change-sets', request, store: store(n), counter, changes })
  }

  /** The change that makes the first extent's set `inSync`. */
  change(inSync: readonly StoreId[]): SetChange {
    const { revision, epoch } = this.record()
    return { extent: EXTENT, revision, epoch, inSync }
  }

  record(): ExtentRecord {
    const record = this.leader.state.extents.get(EXTENT)
    assert.ok(record !== undefined, 'the first extent exists')
    return record
  }

  /** Primary of the first extent, as a number. */
  get primary(): number {
    return numberOf(this.record().primary.store)
  }

  state(n: number): string | undefined {
    return this.leader.state.nodes.get(store(n))?.state
  }
}

/** Three registered stores and one volume of three replicas over them. */
export function threeStores(extents = 1): LeaderRig {
  const rig = new LeaderRig()
  for (const n of [1, 2, 3]) rig.register(n)
  rig.create(3, extents)
  for (const n of [1, 2, 3]) rig.answers(n)
  return rig
}
