import { type Allocate, concatenate, defaultAllocate, readUint64, viewOf } from './bytes.ts'
import { NBD_CMD_DISC, NBD_CMD_WRITE, NBD_REQUEST_MAGIC, REQUEST_HEADER_BYTES } from './constants.ts'
import { NBD_OK } from './errno.ts'
import { type RequestHeader, type TransmissionRules, validateRequest } from './validate.ts'

/** One request. The cookie is opaque and kept as two halves, so that it goes back byte for byte. */
export interface NbdRequest extends RequestHeader {
  readonly cookieHigh: number
  readonly cookieLow: number
  /** 0, or the error number to reply instead of executing the request. */
  readonly errno: number
  /** Data of a WRITE that may be executed; otherwise empty. It may be part of an array that was given to `append`. */
  readonly payload: Uint8Array
}

export interface RequestReaderOptions {
  readonly rules: TransmissionRules
  /** A WRITE that announces more is a fault and its data is never read. Up to it the data is read past. */
  readonly hardPayloadLimitBytes: number
  readonly allocate?: Allocate
}

const NOTHING = new Uint8Array(0)

/**
 * Reads requests out of a byte stream that may be cut anywhere. The caller gives bytes with `append` and pulls requests
 * with `read`, so that it can stop pulling when it has enough on its way. It never holds more than it was given, and
 * the payload of a request that will be refused is dropped as it arrives.
 */
export class RequestReader {
  readonly #rules: TransmissionRules
  readonly #hardLimit: number
  readonly #allocate: Allocate
  readonly #header = new Uint8Array(REQUEST_HEADER_BYTES)
  readonly #headerView = viewOf(this.#header)
  #headerBytes = 0
  #chunks: Uint8Array[] = []
  #chunk: Uint8Array = NOTHING
  #view = viewOf(NOTHING)
  #at = 0
  /** A WRITE whose header is read and whose payload is not complete, and how much of it is missing. */
  #current: NbdRequest | undefined
  #missing = 0
  #parts: Uint8Array[] = []
  #fault: string | undefined

  constructor(options: RequestReaderOptions) {
    this.#rules = options.rules
    this.#hardLimit = options.hardPayloadLimitBytes
    this.#allocate = options.allocate ?? defaultAllocate
  }

  /** Takes bytes over: they must not change as long as a payload that was read out of them is in use. */
  append(bytes: Uint8Array): void {
    if (bytes.length > 0 && this.#fault === undefined) this.#chunks.push(bytes)
  }

  /** What made the stream unreadable; the connection cannot go on. */
  get fault(): string | undefined {
    return this.#fault
  }

  /** True after the first byte of a request until its last. */
  get insideRequest(): boolean {
    return this.#current !== undefined || this.#headerBytes > 0
  }

  /** The next whole request, or undefined when more bytes are needed or after a fault. */
  read(): NbdRequest | undefined {
    while (this.#fault === undefined) {
      if (this.#at === this.#chunk.length && !this.#nextChunk()) return undefined
      const request = this.#current === undefined ? this.#readHeader() : this.#readPayload(this.#current)
      if (request !== undefined) return request
    }
    return undefined
  }

  #nextChunk(): boolean {
    const next = this.#chunks.shift()
    this.#chunk = next ?? NOTHING
    this.#at = 0
    if (next === undefined) return false
    this.#view = viewOf(next)
    return true
  }

  #readHeader(): NbdRequest | undefined {
    const available = this.#chunk.length - this.#at
    if (this.#headerBytes === 0 && available >= REQUEST_HEADER_BYTES) {
      const at = this.#at
      this.#at += REQUEST_HEADER_BYTES
      return this.#onHeader(this.#view, at)
    }
    const taken = Math.min(REQUEST_HEADER_BYTES - this.#headerBytes, available)
    this.#header.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#headerBytes)
    this.#headerBytes += taken
    this.#at += taken
    if (this.#headerBytes < REQUEST_HEADER_BYTES) return undefined
    this.#headerBytes = 0
    return this.#onHeader(this.#headerView, 0)
  }

  #onHeader(view: DataView, at: number): NbdRequest | undefined {
    if (view.getUint32(at) !== NBD_REQUEST_MAGIC) {
      return this.#fail('the request does not start with the NBD request magic')
    }
    const request = {
      command: view.getUint16(at + 6),
      flags: view.getUint16(at + 4),
      cookieHigh: view.getUint32(at + 8),
      cookieLow: view.getUint32(at + 12),
      offset: readUint64(view, at + 16),
      length: view.getUint32(at + 24),
      errno: NBD_OK,
      payload: NOTHING,
    }
    if (request.command !== NBD_CMD_DISC) request.errno = validateRequest(request, this.#rules)
    if (request.command !== NBD_CMD_WRITE || request.length === 0) return request
    if (request.length > this.#hardLimit) {
      return this.#fail(`a write announced ${request.length} bytes; at most ${this.#hardLimit} are read`)
    }
    this.#current = request
    this.#missing = request.length
    return undefined
  }

  #readPayload(request: NbdRequest): NbdRequest | undefined {
    const taken = Math.min(this.#missing, this.#chunk.length - this.#at)
    const part = this.#chunk.subarray(this.#at, this.#at + taken)
    this.#at += taken
    this.#missing -= taken
    const whole = taken === request.length
    if (request.errno === NBD_OK && !whole) this.#parts.push(part)
    if (this.#missing > 0) return undefined
    this.#current = undefined
    if (request.errno !== NBD_OK) return request
    if (whole) return { ...request, payload: part }
    const payload = concatenate(this.#parts, request.length, this.#allocate)
    this.#parts = []
    return { ...request, payload }
  }

  #fail(reason: string): undefined {
    this.#fault = reason
    this.#chunks = []
    this.#chunk = NOTHING
    this.#at = 0
    return undefined
  }
}
