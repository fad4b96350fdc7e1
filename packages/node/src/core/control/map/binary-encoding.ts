import { invariant } from '@ashlar/proto'

/**
 * Plain values as bytes, for snapshots: booleans, numbers, strings, arrays, and objects without their absent fields. A
 * string, or a list of field names, is written once and then by its number: records that repeat stores take a tenth of
 * JSON and an eighth of MessagePack (decision 11). Numbers of tags never change.
 */
const FALSE = 1
const TRUE = 2
/** A whole number from 0 to 2^53 - 1: seven bits a byte, low ones first. */
const COUNT = 3
/** Any other number: float64, big-endian. */
const NUMBER = 4
/** Length and one byte for each character; it gets the next number. */
const ASCII = 5
/** Length and two bytes for each UTF-16 unit, big-endian; it gets the next number. */
const TEXT = 6
const KNOWN_STRING = 7
/** Length and items. */
const ARRAY = 8
/** Count of fields, their names as strings, then their values; the list of names gets the next number. */
const OBJECT = 9
const KNOWN_OBJECT = 10

const FIRST_BYTES = 4096

/** Writes values one after the other. */
export class PlainWriter {
  private readonly strings = new Map<string, number>()
  private readonly shapes = new Map<string, number>()
  private bytes = new Uint8Array(FIRST_BYTES)
  private used = 0

  get length(): number {
    return this.used
  }

  write(value: unknown): void {
    switch (typeof value) {
      case 'boolean':
        return this.byte(value ? TRUE : FALSE)
      case 'number':
        return this.number(value)
      case 'string':
        return this.string(value)
    }
    invariant(typeof value === 'object' && value !== null, `a ${typeof value} is not a plain value`)
    if (Array.isArray(value)) {
      this.byte(ARRAY)
      this.count(value.length)
      for (const item of value) this.write(item)
    } else this.object(value as Readonly<Record<string, unknown>>)
  }

  /** The bytes since the last call. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.used)
    this.used = 0
    return taken
  }

  private object(value: Readonly<Record<string, unknown>>): void {
    const names = Object.keys(value).filter((name) => value[name] !== undefined)
    const shape = names.join()
    const known = this.shapes.get(shape)
    if (known === undefined) {
      this.shapes.set(shape, this.shapes.size)
      this.byte(OBJECT)
      this.count(names.length)
      for (const name of names) this.string(name)
    } else {
      this.byte(KNOWN_OBJECT)
      this.count(known)
    }
    for (const name of names) this.write(value[name])
  }

  private number(value: number): void {
    if (Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)) {
      this.byte(COUNT)
      return this.count(value)
    }
    this.byte(NUMBER)
    this.room(8)
    new DataView(this.bytes.buffer).setFloat64(this.used, value)
    this.used += 8
  }

  private string(value: string): void {
    const known = this.strings.get(value)
    if (known !== undefined) {
      this.byte(KNOWN_STRING)
      return this.count(known)
    }
    this.strings.set(value, this.strings.size)
    const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at))
    const isAscii = units.every((unit) => unit < 0x80)
    this.byte(isAscii ? ASCII : TEXT)
    this.count(value.length)
    for (const unit of units) {
      if (!isAscii) this.byte(unit >> 8)
      this.byte(unit & 0xff)
    }
  }

  private count(value: number): void {
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.byte((left % 0x80) + 0x80)
    this.byte(left)
  }

  private byte(value: number): void {
    this.room(1)
    this.bytes[this.used++] = value
  }

  private room(bytes: number): void {
    if (this.used + bytes <= this.bytes.length) return
    const larger = new Uint8Array(2 * this.bytes.length)
    larger.set(this.bytes)
    this.bytes = larger
  }
}

/** Reads the bytes of one `PlainWriter` from its first value on. Other bytes break an invariant. */
export class PlainReader {
  private readonly bytes: Uint8Array
  private readonly strings: string[] = []
  private readonly shapes: (readonly string[])[] = []
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get atEnd(): boolean {
    return this.at === this.bytes.length
  }

  read(): unknown {
    const tag = this.byte()
    switch (tag) {
      case FALSE:
      case TRUE:
        return tag === TRUE
      case COUNT:
        return this.count()
      case NUMBER:
        return this.number()
      case ASCII:
      case TEXT:
        return this.string(tag)
      case KNOWN_STRING:
        return this.known(this.strings)
      case ARRAY: {
        const items: unknown[] = []
        for (let left = this.count(); left > 0; left--) items.push(this.read())
        return items
      }
      case OBJECT:
      case KNOWN_OBJECT:
        return this.object(tag === OBJECT ? this.shape() : this.known(this.shapes))
      default:
        return invariant(false, `byte ${this.at - 1} of plain values is ${tag}, which is not a tag`)
    }
  }

  private object(names: readonly string[]): unknown {
    const value: Record<string, unknown> = {}
    for (const name of names) value[name] = this.read()
    return value
  }

  private shape(): readonly string[] {
    const names: string[] = []
    for (let left = this.count(); left > 0; left--) names.push(String(this.read()))
    this.shapes.push(names)
    return names
  }

  private known<T>(values: readonly T[]): T {
    const value = values[this.count()]
    invariant(value !== undefined, `plain values refer to something before byte ${this.at} that was never written`)
    return value
  }

  private number(): number {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    this.at += 8
    return view.getFloat64(this.at - 8)
  }

  private string(tag: number): string {
    let value = ''
    for (let left = this.count(); left > 0; left--) {
      const high = tag === TEXT ? this.byte() : 0
      value += String.fromCharCode((high << 8) | this.byte())
    }
    this.strings.push(value)
    return value
  }

  private count(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    invariant(byte !== undefined, `plain values end at byte ${this.bytes.length}, within a value`)
    return byte
  }
}
