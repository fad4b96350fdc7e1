import type { Effect, Input, MachineEvent, ReplicaChange } from '@ashlar/node/core'
import {
  BLOCK_DATA,
  type ExtentId,
  isAtLeast,
  type Message,
  type Millis,
  type Operation,
  type SpaceReport,
  type StoreId,
  type StoreSpace,
} from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'
import type { Clock } from '../world/time.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'
import type { Request } from './requests.ts'

/**
 * What is known of a store may be as old as its last acknowledgement, but no cut and no crash keeps it back for longer.
 */
const STALE_MS = 60_000

/**
 * A2.19, for disks that run full, judged by what each process received: every acknowledgement and renewal carries the
 * free space; a store that has to acknowledge and is short of it keeps new writes from being ordered; a replica that
 * need not is not filled; a store never meets the end of its disk while something else leaves it half of the last
 * reserve; and no client is refused for lack of space that is there.
 */
export class FullDisks {
  private readonly clock: Clock
  private readonly truth: ControlTruth
  private readonly report: Report
  private readonly views = new WeakMap<NodeProcess, View>()
  /** Until when the disk of a store reported that it is short of space. */
  private readonly shortUntil = new Map<StoreId, Millis>()
  /** Requests that were refused for lack of space. */
  refusals = 0

  constructor(clock: Clock, truth: ControlTruth, report: Report) {
    this.clock = clock
    this.truth = truth
    this.report = report
  }

  spaceReported(node: NodeProcess, { space }: SpaceReport): void {
    const view = this.viewOf(node)
    if (isAtLeast(space, 'tight')) this.shortUntil.set(node.disk.store, this.clock.now)
    view.reported = space
    view.own.note(space)
  }

  outOfRoom(node: NodeProcess, bytes: number, freeBytes: number): void {
    this.report.violation('space-kept', `${node.host} writes ${bytes} bytes where ${freeBytes} are free`)
  }

  received(node: NodeProcess, input: Input): void {
    const view = this.viewOf(node)
    if (input.type === 'link-up' && input.peer.kind === 'node') view.stores.set(input.link, input.peer.store)
    if (input.type !== 'received') return
    const { message, link } = input
    if (message.type === 'write' || message.type === 'zero') this.begun(node, message)
    if (message.type !== 'ack' && message.type !== 'opened') return
    const stream = view.streamOf(message.extent, link)
    if (stream === undefined || stream.epoch !== message.epoch || stream.gen !== message.gen) return
    if (message.type === 'ack') return stream.shortage.note(message.space)
    stream.isEmpty = message.lastSeq === 0
    stream.shortage.note('free')
  }

  /**
   * A request arrived: remembers which stores are known to be short of space by then. One that is joined to an earlier
   * one is no news.
   */
  private begun(node: NodeProcess, { extent, operation }: { extent: ExtentId; operation: Operation }): void {
    const view = this.viewOf(node)
    const key = keyOf(extent, operation)
    if (view.begun.has(key)) return
    const since = new Map([...this.members(node, extent)].map(([store, { tight, full }]) => [store, { tight, full }]))
    view.begun.set(key, since)
  }

  /** A request got its answer: a retry is decided again. */
  answered(node: NodeProcess, request: Request): void {
    if (request.type === 'write' || request.type === 'zero')
      this.viewOf(node).begun.delete(keyOf(request.extent, request.operation))
  }

  /** A store is asked to commit a change; that of a primary is a write which it ordered just now. */
  changed(node: NodeProcess, { extent, operation, head, blocks }: ReplicaChange): void {
    if (operation === undefined || operation.cancel || head.lastEpoch === undefined || blocks.length === 0) return
    if (this.truth.primaryOf(extent, head.lastEpoch) !== node.disk.store) return
    const begun = this.viewOf(node).begun.get(keyOf(extent, operation))
    const data = blocks.filter(({ version }) => version.kind === BLOCK_DATA)
    const allocates = data.some(({ block }) => node.store.kindOf(extent, block) !== BLOCK_DATA)
    for (const [store, now] of this.members(node, extent)) {
      const then = begun?.get(store)
      if (then === undefined) continue
      const what = `${node.host} ordered seq ${operation.seq} of extent ${extent}`
      if (now.full !== undefined && now.full === then.full && data.length === blocks.length)
        this.report.violation('full-disk', `${what}, which frees nothing, knowing that ${store} is full`)
      if (now.tight !== undefined && now.tight === then.tight && allocates)
        this.report.violation('full-disk', `${what}, which allocates, knowing that ${store} is short of space`)
    }
  }

  sending(node: NodeProcess, { link, message }: Extract<Effect, { type: 'send' }>): void {
    const view = this.viewOf(node)
    if (message.type === 'open') return view.opens(link, message)
    if ((message.type === 'ack' || message.type === 'renew') && (message.space ?? 'free') !== view.reported)
      this.report.violation(
        'full-disk',
        `${node.host} is ${view.reported} and reports ${message.space} (${message.type})`,
      )
    if (message.type === 'push' && message.kind === BLOCK_DATA) this.pushed(node, link, message)
  }

  /** A request was refused for lack of space. */
  refused(node: NodeProcess, { extent }: Request): void {
    this.refusals++
    const stores = this.truth.record(extent)?.assigned
    const isShort = stores?.some((store) => (this.shortUntil.get(store) ?? -Infinity) > this.clock.now - STALE_MS)
    if (isShort === false)
      this.report.violation('full-disk', `${node.host} has no space for extent ${extent}, and every store has`)
  }

  event(node: NodeProcess, { what, extent, to }: MachineEvent): void {
    if (what !== 'in-sync-change-asked' || extent === undefined) return
    const revision = node.store.head(extent)?.record?.revision ?? 0
    this.viewOf(node).asked.set(extent, { revision, stores: to as readonly StoreId[] })
  }

  /** The target of this copy need not acknowledge: while it is short of space it gets only what frees space. */
  private pushed(node: NodeProcess, link: number, { extent, block }: Extract<Message, { type: 'push' }>): void {
    const view = this.viewOf(node)
    const store = view.stores.get(link)
    const stream = view.streamOf(extent, link)
    if (store === undefined || stream === undefined) return
    const { tight, full } = stream.shortage
    if ((stream.isEmpty ? tight : full) === undefined || this.mayCount(node, extent, store)) return
    const how = stream.isEmpty ? 'fills empty' : 'copies to'
    this.report.violation('full-disk', `${node.host} ${how} ${store} block ${block}, knowing that it has no space`)
  }

  private mayCount(node: NodeProcess, extent: ExtentId, store: StoreId): boolean {
    const asked = this.viewOf(node).asked.get(extent)
    const record = node.store.head(extent)?.record
    const isAsked = asked !== undefined && asked.revision >= (record?.revision ?? 0) && asked.stores.includes(store)
    return (
      isAsked || record?.inSync.includes(store) === true || this.truth.record(extent)?.inSync.includes(store) === true
    )
  }

  /** Stores that certainly have to acknowledge, and since when this process knows each to be short of space. */
  private members(node: NodeProcess, extent: ExtentId): Map<StoreId, Shortage> {
    const view = this.viewOf(node)
    const kept = node.store.head(extent)?.record?.inSync
    const members = new Map([[node.disk.store, view.own]])
    for (const store of this.truth.record(extent)?.inSync ?? []) {
      const stream = view.streams.get(`${extent}:${store}`)
      if (stream !== undefined && kept?.includes(store) === true) members.set(store, stream.shortage)
    }
    return members
  }

  private viewOf(node: NodeProcess): View {
    let view = this.views.get(node)
    if (view === undefined) {
      view = new View()
      this.views.set(node, view)
    }
    return view
  }
}

/** Marks that a store is known to have passed, each with a number of its own for as long as it stays passed. */
class Shortage {
  tight: number | undefined
  full: number | undefined
  private last = 0

  note(space: StoreSpace): void {
    this.tight = isAtLeast(space, 'tight') ? (this.tight ?? ++this.last) : undefined
    this.full = space === 'full' ? (this.full ?? ++this.last) : undefined
  }
}

interface Stream {
  readonly epoch: number
  readonly gen: number
  readonly shortage: Shortage
  /** The replica said that it holds nothing of the extent. */
  isEmpty: boolean
}

/** What one process knows of space on disks. */
class View {
  readonly own = new Shortage()
  reported: StoreSpace = 'free'
  readonly stores = new Map<number, StoreId>()
  /** Newest stream to each store, by extent and store. */
  readonly streams = new Map<string, Stream>()
  /** The newest set that it asked for, by extent, with the revision that it asked under. */
  readonly asked = new Map<ExtentId, { readonly revision: number; readonly stores: readonly StoreId[] }>()
  /** Requests without an answer: what was passed when each arrived. */
  readonly begun = new Map<string, ReadonlyMap<StoreId, Pick<Shortage, 'tight' | 'full'>>>()

  streamOf(extent: ExtentId, link: number): Stream | undefined {
    return this.streams.get(`${extent}:${this.stores.get(link)}`)
  }

  /** In one epoch what a store said last goes on to count until it answers. */
  opens(link: number, { extent, epoch, gen }: Extract<Message, { type: 'open' }>): void {
    const before = this.streamOf(extent, link)
    const goesOn = before?.epoch === epoch && gen > before.gen
    const shortage = goesOn ? before.shortage : new Shortage()
    this.streams.set(`${extent}:${this.stores.get(link)}`, { epoch, gen, shortage, isEmpty: false })
  }
}

function keyOf(extent: ExtentId, { session, op }: Pick<Operation, 'session' | 'op'>): string {
  return `${extent}:${session}:${op}`
}
