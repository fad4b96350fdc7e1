import { KIB, MIB } from '@ashlar/proto'

/** Smaller reads are copied on their way out anyway, smaller writes mostly lie in one chunk, and their memory costs little. */
const SMALLEST_BYTES = 64 * KIB
/** Memory that is kept for later. */
const KEPT_BYTES = 16 * MIB

/** Memory that one request was given. */
export interface Loan {
  /** Memory with any content. */
  readonly allocate: (length: number) => Uint8Array
  /** At most once, when nobody uses it any more. A loan that is not given back is collected like any other memory. */
  giveBack(): void
}

/**
 * Memory that replies to large reads are made in, used again once the kernel has their bytes, and that large writes are put together
 * in, used again once the device has carried them out: new memory of a mebibyte costs ten times what copying into it does,
 * since each of its pages is new to the process.
 */
export class TransferMemory {
  readonly #kept = new Map<number, Uint8Array[]>()
  #keptBytes = 0

  /** Memory for one request, if it is large enough to be worth it. */
  loanFor(length: number): Loan | undefined {
    if (length < SMALLEST_BYTES) return undefined
    const lent: Uint8Array[] = []
    return {
      allocate: (bytes) => {
        const memory = this.#take(bytes)
        lent.push(memory)
        return memory
      },
      giveBack: () => {
        for (const memory of lent) this.#giveBack(memory)
      },
    }
  }

  #take(length: number): Uint8Array {
    const found = this.#kept.get(length)?.pop()
    if (found === undefined) return Buffer.allocUnsafeSlow(length)
    this.#keptBytes -= length
    return found
  }

  #giveBack(bytes: Uint8Array): void {
    if (bytes.length < SMALLEST_BYTES) return
    if (this.#keptBytes + bytes.length > KEPT_BYTES) {
      // Clients that use other sizes now would find nothing of theirs for ever.
      this.#kept.clear()
      this.#keptBytes = 0
    }
    const same = this.#kept.get(bytes.length)
    if (same === undefined) this.#kept.set(bytes.length, [bytes])
    else same.push(bytes)
    this.#keptBytes += bytes.length
  }
}
