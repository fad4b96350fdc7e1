import type { AshlarError, Millis } from '@ashlar/proto'
import type { Token } from '../core/machine.ts'

interface Pending<Response> {
  readonly resolve: (response: Response) => void
  readonly reject: (error: AshlarError) => void
  readonly late: NodeJS.Timeout
}

/**
 * Promises for responses that come back by token. Each settles exactly once: with its response, with the error of its
 * deadline, or with the error that ends all of them, so that no call outlives the node.
 */
export class PendingCalls<Response> {
  private readonly pending: Map<Token, Pending<Response>> = new Map()

  /** Waits for the response to a token that is not pending yet; `lateError` makes the error after `timeoutMs`. */
  wait(token: Token, timeoutMs: Millis, lateError: () => AshlarError): Promise<Response> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.pending.delete(token)
        reject(lateError())
      }, timeoutMs)
      this.pending.set(token, { resolve, reject, late })
    })
  }

  /** A response to a token that is not pending any more is dropped. */
  resolve(token: Token, response: Response): void {
    this.take(token)?.resolve(response)
  }

  /** Rejects every pending promise. */
  endAll(error: AshlarError): void {
    for (const token of [...this.pending.keys()]) this.take(token)?.reject(error)
  }

  private take(token: Token): Pending<Response> | undefined {
    const pending = this.pending.get(token)
    this.pending.delete(token)
    clearTimeout(pending?.late)
    return pending
  }
}
