import { LIMITS, type Millis } from '@ashlar/proto'

/** A piece that took longer met others on its way: an idle cluster erases one in some 3 ms, and passes over one without data in 1. */
const LONG_MS: Millis = 5

/**
 * How many blocks of a volume may be on their way to be erased. Erasing goes on in the background of what clients wait for,
 * and a whole volume is a million blocks: while pieces are answered soon there may be more of them, and half as many
 * after one that was not. So an idle cluster is used, and a busy one is left to others.
 */
export class EraseWindow {
  #size: number = LIMITS.erasePieceBlocks
  #inFlight = 0

  /** Blocks that may be on their way. */
  get size(): number {
    return this.#size
  }

  hasRoom(blocks: number): boolean {
    return this.#inFlight + blocks <= this.#size
  }

  take(blocks: number): void {
    this.#inFlight += blocks
  }

  giveBack(blocks: number): void {
    this.#inFlight -= blocks
  }

  onAnswered(tookMs: Millis): void {
    const { erasePieceBlocks, erasedBlocksInFlight } = LIMITS
    if (tookMs > LONG_MS) this.#size = Math.max(erasePieceBlocks, Math.floor(this.#size / 2))
    else this.#size = Math.min(erasedBlocksInFlight, this.#size + erasePieceBlocks)
  }
}
