import type { ErrorCode, Message } from '@ashlar/proto'

/**
 * What a client requests of a cluster: `discard` is trim and writeZeroes; a flush and a read-only open send nothing.
 */
export type MemoryRequest = 'read' | 'write' | 'discard' | 'open' | 'close' | 'create' | 'remove'

/**
 * A fault in place of the response. A code: the request is refused with it, without effect; the client retries some
 * codes (WAIT, BUSY, NOT_PRIMARY), so that they reach no caller. `lose-request`: the connection breaks before the
 * request arrives. `lose-answer`: the request is executed, and the connection breaks before the response is sent.
 */
export type MemoryFault = Exclude<ErrorCode, 'OK'> | 'lose-request' | 'lose-answer'

/** Requests that wait, from the call of `hold` until they are released. */
export interface MemoryHold extends Disposable {
  /** How many requests wait now. */
  readonly waiting: number
  /** Lets them and every later request go on. */
  release(): void
}

const ADMIN_REQUESTS: Readonly<Record<string, MemoryRequest>> = {
  attach: 'open',
  detach: 'close',
  'create-volume': 'create',
  'remove-volume': 'remove',
}

/** Kind of a request; undefined for messages that have no faults. */
export function requestOf(message: Message): MemoryRequest | undefined {
  if (message.type === 'admin') return ADMIN_REQUESTS[message.command.do]
  if (message.type === 'zero') return 'discard'
  return message.type === 'read' || message.type === 'write' ? message.type : undefined
}

/** Faults and holds of future requests; each fault applies to one request, in the order in which they were added. */
export class MemoryFaults {
  readonly #next: Map<MemoryRequest, MemoryFault[]> = new Map()
  readonly #holds: Map<MemoryRequest, Set<Hold>> = new Map()

  add(request: MemoryRequest, fault: MemoryFault, times: number): void {
    const faults = this.#next.get(request) ?? []
    this.#next.set(request, faults)
    for (let i = 0; i < times; i++) faults.push(fault)
  }

  take(request: MemoryRequest | undefined): MemoryFault | undefined {
    return request === undefined ? undefined : this.#next.get(request)?.shift()
  }

  hold(request: MemoryRequest): MemoryHold {
    const holds = this.#holds.get(request) ?? new Set<Hold>()
    this.#holds.set(request, holds)
    const hold = new Hold(() => holds.delete(hold))
    holds.add(hold)
    return hold
  }

  /** Forgets every fault and releases every hold. */
  clear(): void {
    this.#next.clear()
    for (const holds of this.#holds.values()) for (const hold of [...holds]) hold.release()
  }

  /** Calls `goOn` when nothing holds requests of this kind: now, or when the last hold is released. */
  pass(request: MemoryRequest | undefined, goOn: () => void): void {
    const [hold] = (request === undefined ? undefined : this.#holds.get(request)) ?? []
    if (hold === undefined) goOn()
    else hold.add(() => this.pass(request, goOn))
  }
}

class Hold implements MemoryHold {
  readonly #onReleased: () => void
  #waiting: (() => void)[] = []

  constructor(onReleased: () => void) {
    this.#onReleased = onReleased
  }

  get waiting(): number {
    return this.#waiting.length
  }

  add(goOn: () => void): void {
    this.#waiting.push(goOn)
  }

  release(): void {
    this.#onReleased()
    const waiting = this.#waiting
    this.#waiting = []
    for (const goOn of waiting) goOn()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
