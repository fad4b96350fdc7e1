import { type ExtentId, invariant, LIMITS, type Operation, type SessionId } from '@ashlar/proto'

/** Numbers of one extent, while one of them is unresolved. */
interface Numbers {
  nextOp: number
  lowMark: number
  readonly unresolved: Set<number>
}

/**
 * One attachment: it numbers the operations of each extent and tracks which are unresolved. Numbers of an extent stay
 * within LIMITS.sessionOps of its low mark, since each of its replicas remembers the operations above it (amendments 13
 * and 30). Extents are independent: one that is not served does not hold the low mark of another.
 */
export class Session {
  readonly id: SessionId
  /** Attachment generation, 0 until control gave it. A session never has another one: a newer one fences it. */
  generation = 0
  /** It renews its attachment periodically. */
  renews = false
  readonly #extents: Map<ExtentId, Numbers> = new Map()
  /**
   * Extents without unresolved operations go on from this number, which none of them has used. So nothing is kept of
   * them.
   */
  #unused = 1
  #unresolved = 0

  constructor(id: SessionId) {
    this.id = id
  }

  get unresolved(): number {
    return this.#unresolved
  }

  /** Extents with unresolved operations. */
  get tracked(): number {
    return this.#extents.size
  }

  /** False while another number would stretch the dedupe windows of the extent beyond their limit. */
  canIssue(extent: ExtentId): boolean {
    const numbers = this.#extents.get(extent)
    return numbers === undefined || numbers.nextOp - numbers.lowMark < LIMITS.sessionOps
  }

  /** Gives the next operation of an extent its number; it is unresolved from now on. */
  issue(extent: ExtentId): number {
    invariant(this.canIssue(extent), 'an operation number beyond the window of its extent')
    let numbers = this.#extents.get(extent)
    if (numbers === undefined) {
      numbers = { nextOp: this.#unused, lowMark: this.#unused, unresolved: new Set() }
      this.#extents.set(extent, numbers)
    }
    const op = numbers.nextOp++
    numbers.unresolved.add(op)
    this.#unresolved++
    return op
  }

  /** The operation was applied, or never will be. */
  resolve(extent: ExtentId, op: number): void {
    const numbers = this.#extents.get(extent)
    invariant(numbers?.unresolved.delete(op) === true, 'an operation was resolved twice')
    this.#unresolved--
    if (numbers.unresolved.size === 0) {
      this.#extents.delete(extent)
      this.#unused = Math.max(this.#unused, numbers.nextOp)
      return
    }
    while (!numbers.unresolved.has(numbers.lowMark)) numbers.lowMark++
  }

  /** How a message names an unresolved operation now. Its number is the same in every retry. */
  operation(extent: ExtentId, op: number): Operation {
    return { session: this.id, op, lowMark: this.#extents.get(extent)?.lowMark ?? op, generation: this.generation }
  }
}
