import { decodeUtf8, viewOf } from './bytes.ts'
import { MAX_STRING_BYTES } from './constants.ts'

/** Parsers of option data. Each gives undefined unless the bytes are exactly one well-formed value. */

export interface InfoRequest {
  readonly name: string
  /** The NBD_INFO types asked for, in any order, with repetitions. */
  readonly types: readonly number[]
}

export interface MetaContextRequest {
  readonly name: string
  readonly queries: readonly string[]
}

/** A string as the protocol allows it: UTF-8, without NUL, of at most 4096 bytes. */
export function parseString(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_STRING_BYTES || bytes.includes(0)) return undefined
  return decodeUtf8(bytes)
}

/** Data of NBD_OPT_INFO and NBD_OPT_GO. */
export function parseInfoRequest(data: Uint8Array): InfoRequest | undefined {
  const cursor = new Cursor(data)
  const name = cursor.string()
  const count = cursor.uint16()
  if (name === undefined || count === undefined) return undefined
  const types: number[] = []
  for (let index = 0; index < count; index++) {
    const type = cursor.uint16()
    if (type === undefined) return undefined
    types.push(type)
  }
  return cursor.atEnd ? { name, types } : undefined
}

/** Data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export function parseMetaContextRequest(data: Uint8Array): MetaContextRequest | undefined {
  const cursor = new Cursor(data)
  const name = cursor.string()
  const count = cursor.uint32()
  if (name === undefined || count === undefined) return undefined
  const queries: string[] = []
  for (let index = 0; index < count; index++) {
    const query = cursor.string()
    if (query === undefined) return undefined
    queries.push(query)
  }
  return cursor.atEnd ? { name, queries } : undefined
}

/** Reads fields one after the other and refuses to read past the end, whatever a length field claims. */
class Cursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  uint16(): number | undefined {
    if (this.#bytes.length - this.#at < 2) return undefined
    this.#at += 2
    return this.#view.getUint16(this.#at - 2)
  }

  uint32(): number | undefined {
    if (this.#bytes.length - this.#at < 4) return undefined
    this.#at += 4
    return this.#view.getUint32(this.#at - 4)
  }

  /** A string with its length, 32 bits, in front. */
  string(): string | undefined {
    const length = this.uint32()
    if (length === undefined || length > this.#bytes.length - this.#at) return undefined
    this.#at += length
    return parseString(this.#bytes.subarray(this.#at - length, this.#at))
  }
}
