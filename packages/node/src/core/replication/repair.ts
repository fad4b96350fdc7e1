import { type BlockIndex, type FetchedBlock, type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context, Link, LoadedBlock } from '../machine.ts'
import type { ExtentState } from './extent-state.ts'
import type { Services } from './services.ts'
import type { OutStream } from './stream.ts'

type Then = (ctx: Context) => void

interface Repair {
  readonly block: LoadedBlock
  readonly onRepaired: Then[]
  readonly onFailed: Then[]
  /** Stores that were not tried yet. */
  readonly candidates: StoreId[]
  request: number
  link: Link | undefined
  requestedAt: Millis
}

/**
 * Repair of damaged blocks of one extent (A2.6-3): the bytes of exactly this version come from another replica, are
 * checked, and are written before any reader sees the block. Equal versions are equal bytes on every store, so primary
 * and replica share it.
 */
export class Repairs {
  private readonly extent: ExtentState
  private readonly services: Services
  private readonly repairs = new Map<BlockIndex, Repair>()
  private dropped = false

  constructor(extent: ExtentState, services: Services) {
    this.extent = extent
    this.services = services
  }

  repair(ctx: Context, block: LoadedBlock, onRepaired: Then, onFailed?: Then): void {
    // A read of a replica that was deleted meanwhile.
    if (this.dropped) return onFailed?.(ctx)
    const known = this.repairs.get(block.block)
    if (known !== undefined) {
      known.onRepaired.push(onRepaired)
      if (onFailed !== undefined) known.onFailed.push(onFailed)
      return
    }
    this.extent.damaged.add(block.block)
    ctx.event('error', 'block-damaged', { extent: this.extent.id, block: block.block })
    const repair: Repair = {
      block,
      onRepaired: [onRepaired],
      onFailed: onFailed === undefined ? [] : [onFailed],
      candidates: this.candidates(block),
      request: 0,
      link: undefined,
      requestedAt: ctx.now,
    }
    this.repairs.set(block.block, repair)
    this.requestNext(ctx, repair)
  }

  /** A block that is to be copied: its streams are notified of the outcome. */
  repairForCopies(ctx: Context, block: LoadedBlock, streams: ReadonlyMap<StoreId, OutStream>): void {
    this.repair(
      ctx,
      block,
      (later) => {
        for (const stream of streams.values()) stream.onRepaired(later, block.block)
      },
      (later) => {
        for (const stream of streams.values()) stream.onUnrepairable(later, block.block)
      },
    )
  }

  /** Damage that no request waits for, found by a scrub or by a peer's fetch. */
  found(ctx: Context, block: LoadedBlock): void {
    const settled = () => undefined
    this.repair(ctx, block, settled, (later) => this.recheck(later, block.block))
  }

  /** A write may have replaced the block since it was read: then no store has that version, and nothing is damaged. */
  private recheck(ctx: Context, block: BlockIndex): void {
    if (this.dropped) return
    const token = ctx.token()
    ctx.emit({ type: 'load', token, extent: this.extent.id, blocks: [block] })
    this.services.when(token, (_, completion) => {
      const loaded = completion.type === 'loaded' ? completion.blocks[0] : undefined
      if (loaded?.damaged === false) this.extent.damaged.delete(block)
    })
  }

  /** In-sync stores first, then every other with a replica, unless a member has to prove the version too (A2.17-6). */
  private candidates({ unproven }: LoadedBlock): StoreId[] {
    const record = this.services.control.map.extents.get(this.extent.id)
    if (unproven === true) return (record?.inSync ?? []).filter((store) => store !== this.services.self)
    const holders = new Set([...(record?.inSync ?? []), ...(record?.eligible ?? []), ...(record?.assigned ?? [])])
    return [...holders].filter((store) => store !== this.services.self)
  }

  private requestNext(ctx: Context, repair: Repair): void {
    for (let store = repair.candidates.shift(); store !== undefined; store = repair.candidates.shift()) {
      const link = this.services.links.dialed(store)
      if (link === undefined) continue
      repair.request = ctx.token()
      repair.link = link
      repair.requestedAt = ctx.now
      ctx.emit({
        type: 'send',
        link,
        message: {
          type: 'fetch-block',
          request: repair.request,
          extent: this.extent.id,
          block: repair.block.block,
          versionEpoch: repair.block.version.epoch,
          versionSeq: repair.block.version.seq,
        },
      })
      return
    }
    this.repairs.delete(repair.block.block)
    ctx.event('error', 'block-not-repaired', { extent: this.extent.id, block: repair.block.block })
    for (const then of repair.onFailed) then(ctx)
  }

  /** True when this was the response to a request of this extent. */
  onFetched(ctx: Context, message: FetchedBlock): boolean {
    const repair = [...this.repairs.values()].find((candidate) => candidate.request === message.request)
    if (repair === undefined) return false
    if (message.bytes === undefined || message.checksum !== repair.block.version.checksum) this.requestNext(ctx, repair)
    else this.write(ctx, repair, message.bytes)
    return true
  }

  private write(ctx: Context, repair: Repair, bytes: Uint8Array): void {
    const token = ctx.token()
    repair.request = 0
    repair.requestedAt = Number.POSITIVE_INFINITY
    ctx.emit({
      type: 'repair',
      token,
      extent: this.extent.id,
      block: repair.block.block,
      version: repair.block.version,
      bytes,
    })
    this.services.when(token, (later) => {
      if (this.repairs.get(repair.block.block) !== repair) return
      this.repairs.delete(repair.block.block)
      this.extent.damaged.delete(repair.block.block)
      later.event('warn', 'block-repaired', { extent: this.extent.id, block: repair.block.block })
      for (const then of repair.onRepaired) then(later)
    })
  }

  get busy(): boolean {
    return this.repairs.size > 0
  }

  /** Tries the next replica where one has not responded. */
  maintain(ctx: Context): void {
    for (const repair of this.repairs.values())
      if (ctx.now - repair.requestedAt > TIMERS.openTimeoutMs) this.requestNext(ctx, repair)
  }

  onLinkDown(ctx: Context, link: Link): void {
    for (const repair of this.repairs.values())
      if (repair.link === link && repair.request !== 0) this.requestNext(ctx, repair)
  }

  /** The primary is over: pending repairs fail, so that no caller waits for them. */
  abandon(ctx: Context): void {
    const abandoned = [...this.repairs.values()]
    this.repairs.clear()
    for (const repair of abandoned) for (const then of repair.onFailed) then(ctx)
  }

  /** The replica is about to be deleted. */
  drop(ctx: Context): void {
    this.dropped = true
    this.abandon(ctx)
  }
}
