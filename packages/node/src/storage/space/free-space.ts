import type { Bytes, ExtentId, Millis, StoreSpace } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import type { LocalReplica } from '../replicas/local-replica.ts'
import type { Ballast } from './ballast.ts'
import { Reclaimer } from './reclaimer.ts'
import { leavesAt, type Reserves, spaceOf } from './reserves.ts'

const REFRESH_MS = 1000

/** What the space of a store is measured by, once its data directory was read. */
export interface SpaceStart {
  /** Free bytes of the disk at the opening. */
  readonly freeBytes: Bytes
  readonly reserves: Reserves
  /** Absent: nothing is kept for opening. */
  readonly ballast?: Ballast
}

/** How much space a store has. */
export interface SpaceView {
  readonly space: StoreSpace
  /** Free bytes of the disk, less what the ballast lacks. */
  readonly freeBytes: Bytes
  /** Since when `space` is what it is: wall clock, milliseconds. */
  readonly since: Millis
  readonly reserves: Reserves
}

export interface FreeSpaceOptions {
  readonly driver: StorageDriver
  readonly start: SpaceStart
  /** Replicas whose discarded blocks are compacted. */
  readonly replicas: ReadonlyMap<ExtentId, LocalReplica>
  /** Runs work that the close of the store waits for; an error of it fails the store. */
  readonly run: (work: () => Promise<void>) => void
  /** True once the store closes or has failed. */
  readonly stopped: () => boolean
}

/**
 * Free bytes of the file system, measured once a second, minus what was written since; and the state that follows. A released
 * ballast counts as used until it is made again: clients would fill its space, and the next opening would have none. It is
 * made again once that leaves space to write.
 */
export class FreeSpace {
  readonly #options: FreeSpaceOptions
  readonly #start: SpaceStart
  readonly #reclaimer: Reclaimer
  readonly #timer: NodeJS.Timeout
  #bytes: Bytes
  #writtenSince: Bytes = 0
  #measuring = false
  #space: StoreSpace = 'free'
  #since: Millis = Date.now()

  constructor(options: FreeSpaceOptions) {
    this.#options = options
    this.#start = options.start
    this.#reclaimer = new Reclaimer({ ...options, onReclaimed: () => this.#refresh() })
    this.#bytes = options.start.freeBytes
    this.#update()
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS)
    this.#timer.unref()
  }

  view(): SpaceView {
    return { space: this.#space, freeBytes: this.#free(), since: this.#since, reserves: this.#start.reserves }
  }

  wrote(bytes: Bytes): void {
    this.#writtenSince += bytes
    this.#update()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #refresh(): void {
    const { run, stopped } = this.#options
    if (this.#measuring || stopped()) return
    this.#measuring = true
    run(async () => {
      await this.#measure()
      this.#measuring = false
      this.#reclaimer.look(this.#space)
    })
  }

  async #measure(): Promise<void> {
    const before = this.#writtenSince
    const { freeBytes } = await this.#options.driver.space()
    this.#bytes = freeBytes
    this.#writtenSince -= before
    this.#update()
    const { ballast, reserves } = this.#start
    if (ballast !== undefined && ballast.lackingBytes > 0) await ballast.ensure(leavesAt('tight', reserves))
  }

  #free(): Bytes {
    return Math.max(0, this.#bytes - this.#writtenSince - (this.#start.ballast?.lackingBytes ?? 0))
  }

  #update(): void {
    const space = spaceOf(this.#space, this.#free(), this.#start.reserves)
    if (space === this.#space) return
    this.#space = space
    this.#since = Date.now()
  }
}
