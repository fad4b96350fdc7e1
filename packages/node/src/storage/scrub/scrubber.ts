import { type BlockIndex, type Bytes, type ExtentId, KIB, LIMITS, MIB, type Millis } from '@ashlar/proto'
import { NO_PROGRESS, type ScrubPass, type ScrubProgress } from '../repositories/scrub-repository.ts'
import type { ScrubSource } from './scrub-source.ts'

export interface ScrubberOptions {
  /** Bytes a second; 0: no scrub. Undefined: 2 MiB, or as much as one pass a week takes. */
  readonly bytesPerSecond: Bytes | undefined
  /** From the start of one pass to the start of the next, at least. */
  readonly passEveryMs?: Millis
  /** From one writing of the progress to the next, at least. */
  readonly saveEveryMs?: Millis
  /** Wall clock, in milliseconds: passes are days apart, and restarts between them. */
  readonly clock?: () => number
}

/** `off`: the rate is 0. `waiting`: for the next pass to be due. */
export type ScrubState = 'off' | 'paused' | 'running' | 'waiting'

export interface ScrubStatus {
  readonly state: ScrubState
  readonly bytesPerSecond: Bytes
  /** Part of the pass that is done, 0 to 1, by blocks of the replicas that are here; 0 while there is none. */
  readonly position: number
  readonly current: ScrubPass | null
  readonly last: ScrubPass | null
  /** Since this process began. */
  readonly totals: ScrubTotals
}

export interface ScrubTotals {
  readonly blocks: number
  readonly bytes: number
  readonly damagedBlocks: number
  readonly lostLeaves: number
  readonly passes: number
}

export type ScrubCommand = 'start' | 'pause' | 'resume'

const DAY_MS: Millis = 86_400_000
const WEEK_SECONDS = 7 * 86_400
const LEAST_BYTES_PER_SECOND = 2 * MIB
/**
 * Read in one step. Less: more steps for the same bytes; more: a read of a client waits behind a step for longer, which shows
 * in the slowest hundredth of them.
 */
const SLICE_BYTES = 128 * KIB
/** Leaves without a block that are passed over in one turn of the event loop. */
const EMPTY_LEAVES_A_TURN = 256
/** Looks at versions that are being written, and the pause between two; after that they are as fresh as they can be. */
const LOOKS = 20
const LOOK_AGAIN_MS: Millis = 50
const IDLE_LOOK_MS: Millis = 60_000

/**
 * Walks over everything that a store holds, slowly, and has it verified (A2.6, A2.9). It reads a slice and then sleeps for
 * as long as the slice may take at its rate, so that clients meet it rarely and briefly. Where it is is written into the store
 * now and then: a restart goes on from there.
 */
export class Scrubber {
  readonly #source: ScrubSource
  readonly #options: Required<Omit<ScrubberOptions, 'bytesPerSecond'>> & Pick<ScrubberOptions, 'bytesPerSecond'>
  #progress: ScrubProgress = NO_PROGRESS
  #totals: ScrubTotals = { blocks: 0, bytes: 0, damagedBlocks: 0, lostLeaves: 0, passes: 0 }
  #savedAt = 0
  #stopped = false
  #wake: () => void = () => undefined
  #requested = false

  constructor(source: ScrubSource, options: ScrubberOptions) {
    this.#source = source
    this.#options = { passEveryMs: DAY_MS, saveEveryMs: 10_000, clock: Date.now, ...options }
  }

  get status(): ScrubStatus {
    const { current, last } = this.#progress
    return {
      state: this.#state,
      bytesPerSecond: this.#bytesPerSecond,
      position: this.#position(),
      current,
      last,
      totals: this.#totals,
    }
  }

  /** Reads where it was, and goes on. Returns at once; ends with `stop`. */
  start(): void {
    void this.#run()
  }

  /** Nothing is read any more once this returned; where it was is in the queue of the store, which must not be closed yet. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#save(this.#progress)
    this.#wake()
  }

  /** `start` begins a pass now, if none goes on, and ends a pause. */
  command(command: ScrubCommand): void {
    this.#requested = command === 'start' && this.#progress.current === null
    this.#save({ ...this.#progress, paused: command === 'pause' })
    this.#wake()
  }

  get #state(): ScrubState {
    if (this.#options.bytesPerSecond === 0) return 'off'
    if (this.#progress.paused) return 'paused'
    return this.#progress.current === null ? 'waiting' : 'running'
  }

  get #bytesPerSecond(): Bytes {
    const weekly = Math.ceil((this.#progress.last?.bytes ?? 0) / WEEK_SECONDS)
    return this.#options.bytesPerSecond ?? Math.max(LEAST_BYTES_PER_SECOND, weekly)
  }

  async #run(): Promise<void> {
    if (this.#options.bytesPerSecond === 0) return
    this.#progress = await this.#source.readProgress()
    while (!this.#stopped) {
      if (this.#mayRead) await this.#continuePass()
      else await this.#sleep(IDLE_LOOK_MS)
    }
  }

  /** A pass is running or due, and the scrub is not paused. */
  get #mayRead(): boolean {
    const { paused, current, last } = this.#progress
    if (paused || this.#stopped) return false
    return current !== null || this.#requested || this.#now - (last?.startedAtMs ?? 0) >= this.#options.passEveryMs
  }

  get #now(): number {
    return this.#options.clock()
  }

  async #continuePass(): Promise<void> {
    if (this.#progress.current === null) {
      const fresh = { startedAtMs: this.#now, endedAtMs: null, blocks: 0, bytes: 0, damagedBlocks: 0, lostLeaves: 0 }
      this.#requested = false
      this.#save({ ...this.#progress, current: { ...fresh, extent: 0 as ExtentId, block: 0 } })
    }
    for (let next = this.#nextExtent(); next !== undefined; next = this.#nextExtent()) {
      await this.#scrubExtent(next.extent, next.blocks, next.blockSizeBytes)
      if (!this.#mayRead) return
    }
    const { current } = this.#progress
    if (current === null) return
    const { extent: _, block: __, ...pass } = current
    this.#totals = { ...this.#totals, passes: this.#totals.passes + 1 }
    this.#save({ ...this.#progress, current: null, last: { ...pass, endedAtMs: this.#now } })
  }

  /** The replica that the pass is in, or the first behind it that is not read yet. */
  #nextExtent(): ReturnType<ScrubSource['extents']>[number] | undefined {
    const { current } = this.#progress
    if (current === null) return undefined
    return this.#source
      .extents()
      .find(({ extent, blocks }) => extent > current.extent || (extent === current.extent && current.block < blocks))
  }

  async #scrubExtent(extent: ExtentId, blocks: number, blockSizeBytes: Bytes): Promise<void> {
    const { current } = this.#progress
    const sliceBlocks = Math.max(1, Math.floor(SLICE_BYTES / blockSizeBytes))
    let passedOver = 0
    for (let block = current?.extent === extent ? current.block : 0; block < blocks && this.#mayRead; ) {
      const leaf = Math.floor(block / LIMITS.leafBlocks)
      const end = Math.min(blocks, (leaf + 1) * LIMITS.leafBlocks)
      if (this.#source.isEmpty(extent, block)) {
        this.#advance(extent, end, NOTHING)
        block = end
        if (++passedOver % EMPTY_LEAVES_A_TURN === 0) await this.#sleep(1)
        continue
      }
      if (block % LIMITS.leafBlocks === 0) await this.#checkVersions(extent, leaf)
      const count = Math.min(sliceBlocks, end - block)
      const startedAt = performance.now()
      const read = await this.#source.checkBlocks(extent, block, count)
      block += count
      this.#advance(extent, block, { ...read, lostLeaves: 0 })
      const dueMs = (read.bytes * 1000) / this.#bytesPerSecond
      await this.#sleep(dueMs - (performance.now() - startedAt))
    }
  }

  async #checkVersions(extent: ExtentId, leaf: number): Promise<void> {
    for (let look = 0; look < LOOKS && !this.#stopped; look++) {
      const found = await this.#source.checkVersions(extent, leaf)
      if (found === 'lost') this.#count({ ...NOTHING, lostLeaves: 1 })
      if (found !== 'changing') return
      await this.#sleep(LOOK_AGAIN_MS)
    }
  }

  #advance(extent: ExtentId, block: BlockIndex, read: Omit<ScrubTotals, 'passes'>): void {
    const { current } = this.#progress
    if (current === null) return
    this.#progress = { ...this.#progress, current: { ...current, extent, block } }
    this.#count(read)
    if (this.#now - this.#savedAt >= this.#options.saveEveryMs) this.#save(this.#progress)
  }

  #count(read: Omit<ScrubTotals, 'passes'>): void {
    const { current } = this.#progress
    if (current !== null) this.#progress = { ...this.#progress, current: { ...current, ...sum(current, read) } }
    this.#totals = { ...this.#totals, ...sum(this.#totals, read) }
  }

  #save(progress: ScrubProgress): void {
    this.#progress = progress
    this.#savedAt = this.#now
    this.#source.saveProgress(progress)
  }

  #position(): number {
    const { current } = this.#progress
    if (current === null) return 0
    let done = 0
    let all = 0
    for (const { extent, blocks } of this.#source.extents()) {
      all += blocks
      if (extent < current.extent) done += blocks
      else if (extent === current.extent) done += Math.min(blocks, current.block)
    }
    return all === 0 ? 0 : done / all
  }

  /** Resolves after the time, or when a command or `stop` arrives; never in the same turn of the event loop. */
  #sleep(ms: Millis): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms))
      timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const NOTHING = { blocks: 0, bytes: 0, damagedBlocks: 0, lostLeaves: 0 }

function sum<T extends typeof NOTHING>(a: T, b: typeof NOTHING): typeof NOTHING {
  return {
    blocks: a.blocks + b.blocks,
    bytes: a.bytes + b.bytes,
    damagedBlocks: a.damagedBlocks + b.damagedBlocks,
    lostLeaves: a.lostLeaves + b.lostLeaves,
  }
}
