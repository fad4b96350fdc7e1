import type { AshlarError, Millis } from '@ashlar/proto'
import type { Token } from './core/machine.ts'

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: AshlarError) => void
  readonly late: NodeJS.Timeout
}

/**
 * Promises for answers that come back by token. Each settles exactly once: with its answer, with the error of its deadline,
 * or with the error that ends all of them, so that nobody waits for a node that has stopped.
 */
export class PendingCalls<Answer> {
  readonly #waiting: Map<Token, Waiting<Answer>> = new Map()

  /** Waits for the answer to a token that is not waited for yet; `lateError` makes the error after `timeoutMs`. */
  wait(token: Token, timeoutMs: Millis, lateError: () => AshlarError): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#waiting.delete(token)
        reject(lateError())
      }, timeoutMs)
      this.#waiting.set(token, { resolve, reject, late })
    })
  }

  /** An answer that nobody waits for any more is dropped. */
  answer(token: Token, answer: Answer): void {
    this.#take(token)?.resolve(answer)
  }

  /** Every promise that is still waited for rejects. */
  endAll(error: AshlarError): void {
    for (const token of [...this.#waiting.keys()]) this.#take(token)?.reject(error)
  }

  #take(token: Token): Waiting<Answer> | undefined {
    const waiting = this.#waiting.get(token)
    this.#waiting.delete(token)
    clearTimeout(waiting?.late)
    return waiting
  }
}
