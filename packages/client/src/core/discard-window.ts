import { type ExtentId, LIMITS, type Millis } from '@ashlar/proto'

/** A piece that took longer met others on its way: an idle cluster erases one in some 3 ms, and passes over one without data in 1. */
const LONG_MS: Millis = 5

/**
 * How many blocks of each extent of a volume may be on their way to be erased. Erasing goes on in the background of what clients wait for,
 * and a whole volume is a million blocks: while pieces are answered soon there may be more of them, and half as many
 * after one that was not. So an idle cluster is used, and a busy one is left to others. What is stuck at one extent counts for
 * that one alone (A2.11-5).
 */
export class DiscardWindow {
  #size: number = LIMITS.discardPieceBlocks
  readonly #inFlight: Map<ExtentId, number> = new Map()

  /** Blocks of one extent that may be on their way. */
  get size(): number {
    return this.#size
  }

  /** `pieces`: how many of the same call are on their way, to this extent or to another one. */
  hasRoom(extent: ExtentId, blocks: number, pieces: number): boolean {
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

  /** True when there may be more from now on. */
  onAnswered(tookMs: Millis): boolean {
    const { discardPieceBlocks, discardedBlocksInFlight } = LIMITS
    const before = this.#size
    if (tookMs > LONG_MS) this.#size = Math.max(discardPieceBlocks, Math.floor(this.#size / 2))
    else this.#size = Math.min(discardedBlocksInFlight, this.#size + discardPieceBlocks)
    return this.#size > before
  }
}
