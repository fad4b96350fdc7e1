import { BLOCK_DATA, type BlockIndex, type ExtentId, LIMITS, type StoreId, type Trust } from '@ashlar/proto'
import type { ControlView } from '../interfaces.ts'
import type { Context } from '../machine.ts'
import { LEAVES_AT_ONCE, RUN_BYTES } from './comparison.ts'
import type { When } from './completion.ts'
import type { ExtentState } from './extent-state.ts'

type Then = (ctx: Context) => void

interface Parts {
  readonly self: StoreId
  /** Start counter of this incarnation. */
  readonly counter: number
  readonly control: Pick<ControlView, 'map'>
  readonly when: When
}

/** One extent whose bytes are read. */
interface Job {
  readonly extent: ExtentState
  onDone: Then
  nextLeaf: number
  /** Blocks of the leaves before `nextLeaf` that are not read yet. */
  blocks: BlockIndex[]
}

/**
 * A suspect store reads and checks what it holds before its copies count (A2.17-2): the comparison looks at versions
 * only, and a rotten block under a good version would count as a copy. Each extent is read once in an incarnation, one
 * after the other, whatever becomes of the stream that required it. A trusted store reads nothing.
 */
export class Verification {
  private readonly services: Parts
  private readonly trust: Trust
  private readonly checked = new Set<ExtentId>()
  private readonly jobs = new Map<ExtentId, Job>()
  private current: Job | undefined

  /**
   * `trust`: as this incarnation of the store began. An extent that was not read before the store was cleared (A2.17-4) is
   * still read once.
   */
  constructor(services: Parts, trust: Trust) {
    this.services = services
    this.trust = trust
  }

  /** The store is suspect by its own start, or by control: two directories have one identity. */
  private get suspect(): boolean {
    const { control, self, counter } = this.services
    const known = control.map.nodes.get(self)
    return this.trust === 'suspect' || (known?.incarnation.counter === counter && known.trust === 'suspect')
  }

  /**
   * Calls `then` once all bytes of the extent were checked and its damaged blocks are known, at once where that is so.
   * An earlier caller for the extent is dropped: it has one stream at a time, or one primary.
   */
  before(ctx: Context, extent: ExtentState, then: Then): void {
    if (!this.suspect || this.checked.has(extent.id)) return then(ctx)
    const known = this.jobs.get(extent.id)
    if (known !== undefined) known.onDone = then
    else this.jobs.set(extent.id, { extent, onDone: then, nextLeaf: 0, blocks: [] })
    if (this.current === undefined) this.next(ctx)
  }

  /** The bytes of the extent are being read: what is lost meanwhile is found by that. */
  isReading(id: ExtentId): boolean {
    return this.jobs.has(id)
  }

  /** Versions of the extent were lost since: it is read again before it is compared. */
  forget(id: ExtentId): void {
    this.checked.delete(id)
  }

  /** The replica is about to be deleted. */
  drop(ctx: Context, id: ExtentId): void {
    const job = this.jobs.get(id)
    this.jobs.delete(id)
    if (job !== undefined && job === this.current) this.next(ctx)
  }

  private next(ctx: Context): void {
    const [job] = this.jobs.values()
    this.current = job
    if (job !== undefined) this.continue(ctx, job)
  }

  private continue(ctx: Context, job: Job): void {
    if (job.blocks.length > 0) return this.readRun(ctx, job)
    const leaves = Math.ceil(job.extent.blockCount / LIMITS.leafBlocks)
    if (job.nextLeaf < leaves) return this.listLeaves(ctx, job, leaves)
    const { id, damaged } = job.extent
    this.jobs.delete(id)
    this.checked.add(id)
    ctx.event('info', 'replica-verified', { extent: id, damagedBlocks: damaged.size })
    job.onDone(ctx)
    this.next(ctx)
  }

  private listLeaves(ctx: Context, job: Job, leaves: number): void {
    const count = Math.min(LEAVES_AT_ONCE, leaves - job.nextLeaf)
    const asked = Array.from({ length: count }, (_, at) => job.nextLeaf + at)
    job.nextLeaf += count
    const token = ctx.token()
    ctx.emit({ type: 'versions', token, extent: job.extent.id, leaves: asked })
    this.services.when(token, (later, completion) => {
      if (this.current !== job || completion.type !== 'versions') return
      for (const { versions } of completion.leaves)
        for (const { block, kind } of versions) if (kind === BLOCK_DATA) job.blocks.push(block)
      this.continue(later, job)
    })
  }

  private readRun(ctx: Context, job: Job): void {
    const { extent } = job
    const blocks = job.blocks.splice(0, Math.max(1, Math.floor(RUN_BYTES / extent.blockSizeBytes)))
    const token = ctx.token()
    ctx.emit({ type: 'load', token, extent: extent.id, blocks })
    this.services.when(token, (later, completion) => {
      if (this.current !== job || completion.type !== 'loaded') return
      for (const { block, damaged } of completion.blocks) {
        if (!damaged || extent.damaged.has(block)) continue
        extent.damaged.add(block)
        later.event('error', 'block-damaged', { extent: extent.id, block })
      }
      this.continue(later, job)
    })
  }
}
