import { type Allocate, defaultAllocate, encodeUtf8, viewOf, writeUint64 } from './bytes.ts'
import {
  CHUNK_HEADER_BYTES,
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_FLAG_DF,
  NBD_CMD_READ,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
  SIMPLE_REPLY_BYTES,
} from './constants.ts'
import type { NbdRequest } from './request-reader.ts'

/** A run of bytes that read as zero. */
export interface ZeroRun {
  readonly zeroBytes: number
}
/** A piece of what was read: its bytes, or a run of zeroes. */
export type ReadPart = Uint8Array | ZeroRun

/** One run of the metadata context `base:allocation`. */
export interface StatusExtent {
  readonly length: number
  /** NBD_STATE_HOLE, NBD_STATE_ZERO. */
  readonly status: number
}

export interface ReplyWriterOptions {
  readonly structuredReplies: boolean
  readonly allocate?: Allocate
}

/** Headers and small data are gathered in arrays of this size, so that many replies are one write. */
const SLAB_BYTES = 64 * 1024
/** Data up to this size is copied into the slab; larger data is passed on as it is. */
const COPY_BYTES = 16 * 1024
/** Error texts are cut to this many characters, which are at most three times as many bytes. */
const MAX_TEXT_LENGTH = 1024
const ZEROES = new Uint8Array(64 * 1024)
/** Bytes of a content chunk before its data: the chunk header and the offset. */
const DATA_HEADER_BYTES = CHUNK_HEADER_BYTES + 8
const HOLE_CHUNK_BYTES = CHUNK_HEADER_BYTES + 12

/**
 * Writes replies in the order of the calls. Each call writes one whole reply, so replies never interleave. The bytes
 * are collected with `take`; data that was passed to `read` is not copied when large and must stay as it is until the
 * taken bytes are sent.
 */
export class ReplyWriter {
  readonly #structured: boolean
  readonly #allocate: Allocate
  #slab: Uint8Array = new Uint8Array(0)
  #view = viewOf(this.#slab)
  /** The slab holds bytes of the current batch from #start to #at. */
  #start = 0
  #at = 0
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(options: ReplyWriterOptions) {
    this.#structured = options.structuredReplies
    this.#allocate = options.allocate ?? defaultAllocate
  }

  /** Bytes written and not yet taken. */
  get pendingBytes(): number {
    return this.#bytes
  }

  /** What was written since the last call, in order. */
  take(): Uint8Array[] {
    this.#cut()
    const parts = this.#parts
    this.#parts = []
    this.#bytes = 0
    return parts
  }

  /** A success without content: the answer to everything but READ and BLOCK_STATUS. */
  done(request: NbdRequest): void {
    this.#simple(request, 0)
  }

  /** A failure; `text` is for people and goes out only where structured replies carry it. */
  error(request: NbdRequest, errno: number, text: string): void {
    // A simple reply answers everything but READ, also after structured replies were agreed.
    if (!this.#structured || !expectsChunks(request)) {
      this.#simple(request, errno)
      return
    }
    const message = encodeUtf8(text.slice(0, MAX_TEXT_LENGTH))
    const length = 6 + message.length
    const at = this.#reserve(CHUNK_HEADER_BYTES + 6)
    this.#chunkHeader(at, request, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR, length)
    this.#view.setUint32(at + CHUNK_HEADER_BYTES, errno)
    this.#view.setUint16(at + CHUNK_HEADER_BYTES + 4, message.length)
    this.#append(message)
  }

  /**
   * The answer to READ; `parts` cover the requested range in order. Runs of zeroes become holes where that is agreed.
   */
  read(request: NbdRequest, parts: readonly ReadPart[]): void {
    if (!this.#structured) {
      this.#simple(request, 0)
      for (const part of parts) this.#content(part)
      return
    }
    const first = parts[0]
    if ((request.flags & NBD_CMD_FLAG_DF) !== 0 && (parts.length > 1 || !(first instanceof Uint8Array))) {
      this.#dataHeader(request, NBD_REPLY_FLAG_DONE, request.offset, request.length)
      for (const part of parts) this.#content(part)
      return
    }
    let offset = request.offset
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index] as ReadPart
      const flags = index === parts.length - 1 ? NBD_REPLY_FLAG_DONE : 0
      if (part instanceof Uint8Array) {
        this.#dataHeader(request, flags, offset, part.length)
        this.#append(part)
        offset += part.length
      } else {
        this.#hole(request, flags, offset, part.zeroBytes)
        offset += part.zeroBytes
      }
    }
  }

  /** The answer to BLOCK_STATUS for one context; `extents` has at least one entry, none of length zero. */
  status(request: NbdRequest, contextId: number, extents: readonly StatusExtent[]): void {
    const length = 4 + 8 * extents.length
    const chunk = this.#allocate(CHUNK_HEADER_BYTES + length)
    const view = viewOf(chunk)
    writeChunkHeader(view, 0, request, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_BLOCK_STATUS, length)
    view.setUint32(CHUNK_HEADER_BYTES, contextId)
    let at = CHUNK_HEADER_BYTES + 4
    for (const extent of extents) {
      view.setUint32(at, extent.length)
      view.setUint32(at + 4, extent.status)
      at += 8
    }
    this.#append(chunk)
  }

  #simple(request: NbdRequest, errno: number): void {
    const at = this.#reserve(SIMPLE_REPLY_BYTES)
    const view = this.#view
    view.setUint32(at, NBD_SIMPLE_REPLY_MAGIC)
    view.setUint32(at + 4, errno)
    view.setUint32(at + 8, request.cookieHigh)
    view.setUint32(at + 12, request.cookieLow)
  }

  #dataHeader(request: NbdRequest, flags: number, offset: number, dataBytes: number): void {
    const at = this.#reserve(DATA_HEADER_BYTES)
    this.#chunkHeader(at, request, flags, NBD_REPLY_TYPE_OFFSET_DATA, 8 + dataBytes)
    writeUint64(this.#view, at + CHUNK_HEADER_BYTES, offset)
  }

  #hole(request: NbdRequest, flags: number, offset: number, zeroBytes: number): void {
    const at = this.#reserve(HOLE_CHUNK_BYTES)
    this.#chunkHeader(at, request, flags, NBD_REPLY_TYPE_OFFSET_HOLE, 12)
    writeUint64(this.#view, at + CHUNK_HEADER_BYTES, offset)
    this.#view.setUint32(at + CHUNK_HEADER_BYTES + 8, zeroBytes)
  }

  #chunkHeader(at: number, request: NbdRequest, flags: number, type: number, length: number): void {
    writeChunkHeader(this.#view, at, request, flags, type, length)
  }

  #content(part: ReadPart): void {
    if (part instanceof Uint8Array) {
      this.#append(part)
      return
    }
    for (let left = part.zeroBytes; left > 0; left -= ZEROES.length) {
      this.#append(left >= ZEROES.length ? ZEROES : ZEROES.subarray(0, left))
    }
  }

  #append(bytes: Uint8Array): void {
    if (bytes.length <= COPY_BYTES) {
      const at = this.#reserve(bytes.length)
      this.#slab.set(bytes, at)
      return
    }
    this.#cut()
    this.#parts.push(bytes)
    this.#bytes += bytes.length
  }

  /** Room for that many bytes in the slab; gives the position of the first. */
  #reserve(length: number): number {
    if (this.#at + length > this.#slab.length) {
      this.#cut()
      this.#slab = this.#allocate(SLAB_BYTES)
      this.#view = viewOf(this.#slab)
      this.#start = 0
      this.#at = 0
    }
    const at = this.#at
    this.#at += length
    this.#bytes += length
    return at
  }

  #cut(): void {
    if (this.#at > this.#start) this.#parts.push(this.#slab.subarray(this.#start, this.#at))
    this.#start = this.#at
  }
}

/** READ and BLOCK_STATUS are answered by chunks, also when they fail. */
function expectsChunks(request: NbdRequest): boolean {
  return request.command === NBD_CMD_READ || request.command === NBD_CMD_BLOCK_STATUS
}

function writeChunkHeader(
  view: DataView,
  at: number,
  request: NbdRequest,
  flags: number,
  type: number,
  length: number,
): void {
  view.setUint32(at, NBD_STRUCTURED_REPLY_MAGIC)
  view.setUint16(at + 4, flags)
  view.setUint16(at + 6, type)
  view.setUint32(at + 8, request.cookieHigh)
  view.setUint32(at + 12, request.cookieLow)
  view.setUint32(at + 16, length)
}
