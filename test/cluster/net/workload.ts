import { setTimeout as delay } from 'node:timers/promises'
import { History } from '../../kit/history/recorder.ts'
import { ZERO } from '../../kit/history/register-check.ts'
import { CELL_BYTES, stamped, valuesOf } from '../../sim/workload/stamps.ts'
import type { Chance } from '../../sim/world/chance.ts'
import { type Disk, DiskFailure } from './disk.ts'

export const BLOCK_BYTES = 4096
export const EXTENT_BYTES = 16 * 1024 * 1024
export const VOLUME_BYTES = 4 * EXTENT_BYTES
/** Blocks that are written, around the start of each extent: calls over the edge touch two of them. */
const HOT_BLOCKS = 8
const MOST_BLOCKS = 4
const READ_SHARE = 0.4
const DISCARD_SHARE = 0.05
const PARTIAL_SHARE = 0.25
const THINK_MS = 25
const REOPEN_MS = 250

export interface Range {
  readonly offset: number
  readonly length: number
}

/** What is written and checked of each volume. */
export const HOT_RANGES: readonly Range[] = [1, 2, 3].map((extent) => ({
  offset: extent * EXTENT_BYTES - (HOT_BLOCKS / 2) * BLOCK_BYTES,
  length: HOT_BLOCKS * BLOCK_BYTES,
}))

/** Stamped writes and reads of one volume: what all its users did to it. */
export class VolumeHistory {
  readonly name: string
  readonly history = new History(() => performance.now())
  /** What no fault explains, as sentences. */
  readonly oddities: string[] = []
  #value = ZERO

  constructor(name: string) {
    this.name = name
  }

  nextValue(): number {
    return ++this.#value
  }

  /** Every problem of the history so far. */
  check(): string[] {
    const problems = this.history.check().map(({ register, text }) => {
      const events = this.history.describe(register).join('; ')
      return `${this.name} at byte ${register * CELL_BYTES}: ${text}; everything that happened there: ${events}`
    })
    return [...this.oddities, ...problems]
  }
}

/** One user of a volume: keeps some calls in flight, and opens the disk again when it is lost. */
export class DiskUser {
  readonly name: string
  readonly #volume: VolumeHistory
  readonly #open: () => Promise<Disk>
  readonly #chance: Chance
  #disk: Promise<Disk> | undefined
  #stopped = false
  /** Ends of calls: `unknown` and `never` failed, also to open the disk. */
  readonly ended = { done: 0, unknown: 0, never: 0 }
  /** Failed calls by their reason. */
  readonly failures = new Map<string, number>()
  #longestMs = 0
  readonly #waiting = new Set<{ readonly since: number }>()

  /** `open` rejects with DiskFailure when it does not work now. */
  constructor(name: string, volume: VolumeHistory, open: () => Promise<Disk>, chance: Chance) {
    this.name = name
    this.#volume = volume
    this.#open = open
    this.#chance = chance
  }

  /** Works with so many calls at once until `stop`; resolves when the last of them has ended. */
  async work(depth: number): Promise<void> {
    await Promise.all(
      Array.from({ length: depth }, async () => {
        while (!this.#stopped) {
          await this.#once()
          await delay(this.#chance.between(0, THINK_MS * 2))
        }
      }),
    )
  }

  stop(): void {
    this.#stopped = true
  }

  /** Longest call so far, those that still wait included. */
  get longestMs(): number {
    const now = performance.now()
    return Math.max(this.#longestMs, ...[...this.#waiting].map(({ since }) => now - since))
  }

  /** Reads everything that may have been written, into the history. Rejects when it cannot be read. */
  async readAll(): Promise<void> {
    for (const range of HOT_RANGES) await this.#read(await this.#opened(), range)
  }

  /** A write and a read, as often as it takes until both succeed or the signal says that it takes too long. */
  async prove(signal: AbortSignal): Promise<void> {
    const range = { offset: HOT_RANGES[0]?.offset ?? 0, length: BLOCK_BYTES }
    for (;;) {
      signal.throwIfAborted()
      const before = this.ended.done
      await this.#attempt((disk) => this.#write(disk, range))
      await this.#attempt((disk) => this.#read(disk, range))
      if (this.ended.done >= before + 2) return
    }
  }

  async close(): Promise<void> {
    const disk = await this.#disk?.catch(() => undefined)
    this.#disk = undefined
    await disk?.close()
  }

  #once(): Promise<void> {
    const range = this.#range()
    if (this.#chance.happens(READ_SHARE)) return this.#attempt((disk) => this.#read(disk, range))
    if (this.#chance.happens(DISCARD_SHARE)) return this.#attempt((disk) => this.#discard(disk, range))
    return this.#attempt((disk) => this.#write(disk, range))
  }

  /** Never rejects for what a fault explains, and notes what none does. */
  async #attempt(call: (disk: Disk) => Promise<void>): Promise<void> {
    const opening = this.#opened()
    try {
      await call(await opening)
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error
      this.failures.set(error.reason, (this.failures.get(error.reason) ?? 0) + 1)
      if (!error.explained) this.#volume.oddities.push(`${this.name} on ${this.#volume.name}: ${error.message}`)
      if (!error.over) return
      if (this.#disk === opening) this.#disk = undefined
      await delay(REOPEN_MS)
    }
  }

  #opened(): Promise<Disk> {
    this.#disk ??= this.#open()
    return this.#disk
  }

  #range(): Range {
    const hot = this.#chance.pick(HOT_RANGES)
    const first = this.#chance.integer(0, HOT_BLOCKS - 1)
    const offset = hot.offset + first * BLOCK_BYTES
    if (this.#chance.happens(PARTIAL_SHARE)) {
      return { offset: offset + this.#chance.integer(0, 1) * CELL_BYTES, length: CELL_BYTES }
    }
    const count = this.#chance.integer(1, Math.min(MOST_BLOCKS, HOT_BLOCKS - first))
    return { offset, length: count * BLOCK_BYTES }
  }

  #write(disk: Disk, range: Range): Promise<void> {
    const value = this.#volume.nextValue()
    return this.#change(range, value, () => disk.write(range.offset, stamped(value, range.length)))
  }

  #discard(disk: Disk, range: Range): Promise<void> {
    return this.#change(range, ZERO, () => disk.discard(range.offset, range.length))
  }

  async #change(range: Range, value: number, call: () => Promise<void>): Promise<void> {
    const end = this.#volume.history.beginWrite(cellsOf(range), value)
    try {
      await this.#timed(call)
      end('done')
    } catch (error) {
      end(error instanceof DiskFailure ? error.ending : 'unknown')
      throw error
    }
  }

  async #read(disk: Disk, range: Range): Promise<void> {
    const end = this.#volume.history.beginRead(cellsOf(range))
    const values = valuesOf(await this.#timed(() => disk.read(range.offset, range.length)))
    if (values.includes(undefined)) {
      this.#volume.oddities.push(`${this.name} read a torn write of ${this.#volume.name} at ${range.offset}: ${values}`)
    } else end(values as number[])
  }

  async #timed<T>(call: () => Promise<T>): Promise<T> {
    const waiting = { since: performance.now() }
    this.#waiting.add(waiting)
    try {
      const result = await call()
      this.ended.done++
      return result
    } catch (error) {
      this.ended[error instanceof DiskFailure && error.ending === 'never' ? 'never' : 'unknown']++
      throw error
    } finally {
      this.#waiting.delete(waiting)
      this.#longestMs = Math.max(this.#longestMs, performance.now() - waiting.since)
    }
  }
}

function cellsOf({ offset, length }: Range): number[] {
  return Array.from({ length: length / CELL_BYTES }, (_, index) => offset / CELL_BYTES + index)
}
