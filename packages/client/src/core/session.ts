import { invariant, LIMITS, type Operation, type SessionId } from '@ashlar/proto'

/**
 * One life of one attachment: it numbers operations and knows which are unresolved. Numbers stay within
 * LIMITS.sessionOps of the low mark, since every replica remembers what lies above it (amendment 13).
 */
export class Session {
  readonly id: SessionId
  /** Attachment generation, 0 until control gave it. A session never has another one: a newer one fences it. */
  generation = 0
  #nextOp = 1
  #lowMark = 1
  readonly #unresolved: Set<number> = new Set()

  constructor(id: SessionId) {
    this.id = id
  }

  /** Lowest unresolved operation, or the next number when there is none. Only rises. */
  get lowMark(): number {
    return this.#lowMark
  }

  get unresolved(): number {
    return this.#unresolved.size
  }

  /** False while another number would stretch the dedupe windows beyond their limit. */
  get canIssue(): boolean {
    return this.#nextOp - this.#lowMark < LIMITS.sessionOps
  }

  /** Gives the next operation its number; it is unresolved from now on. */
  issue(): number {
    invariant(this.canIssue, 'an operation number was asked for beyond the window of the session')
    const op = this.#nextOp++
    this.#unresolved.add(op)
    return op
  }

  /** The operation was applied, or never will be. */
  resolve(op: number): void {
    invariant(this.#unresolved.delete(op), 'an operation was resolved twice')
    while (this.#lowMark < this.#nextOp && !this.#unresolved.has(this.#lowMark)) this.#lowMark++
  }

  /** How a message names the operation now. Its number is the same in every retry. */
  operation(op: number): Operation {
    return { session: this.id, op, lowMark: this.#lowMark, generation: this.generation }
  }
}
