import { type ExtentId, LIMITS, type Millis } from '@ashlar/proto'

/** A slower piece met other load: an idle cluster discards a piece in some 3 ms, and one without data in 1 ms. */
const LONG_MS: Millis = 5

/**
 * How many blocks of each extent of a volume may be in flight in discards. A discard of a whole volume is a million
 * blocks and runs beside reads and writes that clients wait for. The window grows while responses are fast and halves
 * after a slow one: it uses an idle cluster and leaves a busy one to others. No piece goes out beyond its size at that
 * moment. A stuck extent counts for itself only (A2.11-5).
 */
export class DiscardWindow {
  #size: number = LIMITS.discardPieceBlocks
  readonly #inFlight: Map<ExtentId, number> = new Map()

  /** Blocks of one extent that may be in flight. */
  get size(): number {
    return this.#size
  }

  /** `pieces`: how many of the same call are in flight, in any extent. */
  fits(extent: ExtentId, blocks: number, pieces: number): boolean {
    const inFlight = Math.max(this.#inFlight.get(extent) ?? 0, pieces * LIMITS.discardPieceBlocks)
    return inFlight + blocks <= this.#size
  }

  take(extent: ExtentId, blocks: number): void {
    this.#inFlight.set(extent, (this.#inFlight.get(extent) ?? 0) + blocks)
  }

  release(extent: ExtentId, blocks: number): void {
    const left = (this.#inFlight.get(extent) ?? 0) - blocks
    if (left > 0) this.#inFlight.set(extent, left)
    else this.#inFlight.delete(extent)
  }

  /** True when the window grew. */
  onAnswered(tookMs: Millis): boolean {
    const { discardPieceBlocks, discardedBlocksInFlight } = LIMITS
    const before = this.#size
    if (tookMs > LONG_MS) this.#size = Math.max(discardPieceBlocks, Math.floor(this.#size / 2))
    else this.#size = Math.min(discardedBlocksInFlight, this.#size + discardPieceBlocks)
    return this.#size > before
  }
}
