import type { NbdRequest } from '../protocol/index.ts'
import type { PooledBuffer, TransferMemory } from './transfer-memory.ts'

/** Memory that the data of writes is put together in, by request. */
export class PayloadMemory {
  readonly #memory: TransferMemory | undefined
  /** What the request that is being read was given. */
  #reading: PooledBuffer | undefined
  readonly #buffers = new WeakMap<NbdRequest, PooledBuffer>()

  constructor(memory: TransferMemory | undefined) {
    this.#memory = memory
  }

  /** Memory for the data of the request that is being read. */
  readonly allocate = (length: number): Uint8Array => {
    this.#reading = this.#memory?.bufferFor(length)
    return this.#reading?.allocate(length) ?? Buffer.allocUnsafeSlow(length)
  }

  /** That request was read. Gives it back. */
  note(request: NbdRequest | undefined): NbdRequest | undefined {
    if (request !== undefined && this.#reading !== undefined) this.#buffers.set(request, this.#reading)
    this.#reading = undefined
    return request
  }

  /**
   * The write was executed, so its buffer is free. The data of a failed write might land later: it is left to the
   * collector.
   */
  releaseBuffer(request: NbdRequest): void {
    this.#buffers.get(request)?.release()
  }
}
