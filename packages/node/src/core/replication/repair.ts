import { type BlockIndex, type FetchedBlock, type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context, Link, LoadedBlock } from '../machine.ts'
import type { Primary } from './primary.ts'

type Then = (ctx: Context) => void

interface Repair {
  readonly block: LoadedBlock
  readonly onRepaired: Then[]
  readonly onFailed: Then[]
  /** Stores not asked yet. */
  readonly candidates: StoreId[]
  request: number
  link: Link | undefined
  askedAt: Millis
}

/**
 * Repair of damaged blocks at the primary (protocol A2.6): the bytes of exactly this version come from another replica,
 * are checked, and are written before any reader sees the block.
 */
export class Repairs {
  private readonly primary: Primary
  private readonly repairs = new Map<BlockIndex, Repair>()

  constructor(primary: Primary) {
    this.primary = primary
  }

  repair(ctx: Context, block: LoadedBlock, onRepaired: Then, onFailed?: Then): void {
    const { primary } = this
    const known = this.repairs.get(block.block)
    if (known !== undefined) {
      known.onRepaired.push(onRepaired)
      if (onFailed !== undefined) known.onFailed.push(onFailed)
      return
    }
    primary.extent.damaged.add(block.block)
    ctx.fact('error', 'block-damaged', { extent: primary.extent.id, block: block.block })
    const repair: Repair = {
      block,
      onRepaired: [onRepaired],
      onFailed: onFailed === undefined ? [] : [onFailed],
      candidates: this.candidates(),
      request: 0,
      link: undefined,
      askedAt: ctx.now,
    }
    this.repairs.set(block.block, repair)
    this.askNext(ctx, repair)
  }

  /** Equal versions are equal bytes, whoever holds them: in-sync stores first, then every other that has a replica. */
  private candidates(): StoreId[] {
    const record = this.primary.record()
    const holders = new Set([...(record?.inSync ?? []), ...(record?.eligible ?? []), ...(record?.assigned ?? [])])
    return [...holders].filter((store) => store !== this.primary.services.self)
  }

  private askNext(ctx: Context, repair: Repair): void {
    const { primary } = this
    for (let store = repair.candidates.shift(); store !== undefined; store = repair.candidates.shift()) {
      const link = primary.services.links.dialed(store)
      if (link === undefined) continue
      repair.request = ctx.token()
      repair.link = link
      repair.askedAt = ctx.now
      ctx.emit({
        type: 'send',
        link,
        message: {
          type: 'fetch-block',
          request: repair.request,
          extent: primary.extent.id,
          block: repair.block.block,
          versionEpoch: repair.block.version.epoch,
          versionSeq: repair.block.version.seq,
        },
      })
      return
    }
    this.repairs.delete(repair.block.block)
    ctx.fact('error', 'block-not-repaired', { extent: primary.extent.id, block: repair.block.block })
    for (const then of repair.onFailed) then(ctx)
  }

  /** True when the answer was to a request of this primary. */
  onFetched(ctx: Context, message: FetchedBlock): boolean {
    const repair = [...this.repairs.values()].find((candidate) => candidate.request === message.request)
    if (repair === undefined) return false
    if (message.bytes === undefined || message.checksum !== repair.block.version.checksum) this.askNext(ctx, repair)
    else this.write(ctx, repair, message.bytes)
    return true
  }

  private write(ctx: Context, repair: Repair, bytes: Uint8Array): void {
    const { primary } = this
    const token = ctx.token()
    repair.request = 0
    repair.askedAt = Number.POSITIVE_INFINITY
    ctx.emit({
      type: 'repair',
      token,
      extent: primary.extent.id,
      block: repair.block.block,
      version: repair.block.version,
      bytes,
    })
    primary.services.when(token, (later) => {
      if (this.repairs.get(repair.block.block) !== repair) return
      this.repairs.delete(repair.block.block)
      primary.extent.damaged.delete(repair.block.block)
      later.fact('warn', 'block-repaired', { extent: primary.extent.id, block: repair.block.block })
      for (const then of repair.onRepaired) then(later)
    })
  }

  get busy(): boolean {
    return this.repairs.size > 0
  }

  /** Asks the next replica where one has not answered. */
  maintain(ctx: Context): void {
    for (const repair of this.repairs.values())
      if (ctx.now - repair.askedAt > TIMERS.openTimeoutMs) this.askNext(ctx, repair)
  }

  onLinkDown(ctx: Context, link: Link): void {
    for (const repair of this.repairs.values())
      if (repair.link === link && repair.request !== 0) this.askNext(ctx, repair)
  }

  /** The primary is over: whoever waits for a repair is told, instead of waiting for an answer that never comes. */
  abandon(ctx: Context): void {
    const abandoned = [...this.repairs.values()]
    this.repairs.clear()
    for (const repair of abandoned) for (const then of repair.onFailed) then(ctx)
  }
}
