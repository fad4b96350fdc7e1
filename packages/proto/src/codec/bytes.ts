import { AshlarError } from '@ashlar/proto'

/** The one error of this room: bytes (or a value about to become bytes) that are not a message of this protocol. */
export function badFrame(what: string, cause?: unknown): AshlarError {
  return new AshlarError('BAD_FRAME', what, {
    hint: 'The other side speaks another protocol or version, or bytes were damaged on the way: close the connection.',
    ...(cause === undefined ? {} : { cause }),
  })
}

const TWO_32 = 2 ** 32
/** Upper half of the largest safe integer. */
const MAX_HIGH = 2 ** 21 - 1
const encoder = new TextEncoder()
// Fatal, so that bytes that are no UTF-8 are refused and never become replacement characters.
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Appends big-endian fields to a buffer that grows. Ranges are checked by the caller (fields.ts). */
export class ByteWriter {
  private bytes: Uint8Array
  private view: DataView
  private at = 0

  constructor(capacityBytes: number) {
    this.bytes = Buffer.allocUnsafe(capacityBytes)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  }

  get length(): number {
    return this.at
  }

  u8(value: number): void {
    this.reserve(1)
    this.view.setUint8(this.at, value)
    this.at += 1
  }

  u16(value: number): void {
    this.reserve(2)
    this.view.setUint16(this.at, value)
    this.at += 2
  }

  u32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.at, value)
    this.at += 4
  }

  /** A safe integer from 0 in eight bytes. */
  u53(value: number): void {
    this.reserve(8)
    const high = Math.floor(value / TWO_32)
    this.view.setUint32(this.at, high)
    // A remainder of doubles would be a call of the C library.
    this.view.setUint32(this.at + 4, value - high * TWO_32)
    this.at += 8
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  /** UTF-8 behind its length in bytes as u16. */
  text(value: string): void {
    const utf8 = encoder.encode(value)
    this.u16(utf8.length)
    this.raw(utf8)
  }

  /** Overwrites four bytes that were written before: a length that is known only afterwards. */
  patchU32(at: number, value: number): void {
    this.view.setUint32(at, value)
  }

  /** What was written: a view that is valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.at)
  }

  private reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.at + count))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
    this.view = new DataView(grown.buffer, grown.byteOffset, grown.length)
  }
}

/** Takes big-endian fields off a range of bytes; throws BAD_FRAME when the range ends too early. */
export class ByteReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at: number
  private readonly end: number

  constructor(bytes: Uint8Array, view: DataView, start: number, end: number) {
    this.bytes = bytes
    this.view = view
    this.at = start
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    return this.view.getUint8(this.advance(1))
  }

  u16(): number {
    return this.view.getUint16(this.advance(2))
  }

  u32(): number {
    return this.view.getUint32(this.advance(4))
  }

  u53(): number {
    const at = this.advance(8)
    const high = this.view.getUint32(at)
    if (high > MAX_HIGH) throw badFrame('a number above 2^53 - 1')
    return high * TWO_32 + this.view.getUint32(at + 4)
  }

  /** A view of the frame, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.advance(count)
    return this.bytes.subarray(at, at + count)
  }

  text(): string {
    const utf8 = this.raw(this.u16())
    try {
      return decoder.decode(utf8)
    } catch (error) {
      throw badFrame('text that is not UTF-8', error)
    }
  }

  /** Reads the length of a list whose items take at least `itemBytes` each: checked before anything is allocated. */
  count(count: number, itemBytes: number, max: number, what: string): number {
    if (count > max) throw badFrame(`${what}: ${count} of them, at most ${max} are allowed`)
    if (count * itemBytes > this.left) throw badFrame(`${what}: ${count} of them do not fit in ${this.left} bytes`)
    return count
  }

  expectEnd(): void {
    if (this.left !== 0) throw badFrame(`${this.left} bytes too many`)
  }

  private advance(count: number): number {
    const at = this.at
    if (at + count > this.end) throw badFrame(`${count} bytes expected, ${this.end - at} left`)
    this.at = at + count
    return at
  }
}
