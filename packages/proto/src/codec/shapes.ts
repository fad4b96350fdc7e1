import { badFrame } from './bytes.ts'
import { cutText, describe, textField, uuidBytes, uuidOf, whole } from './fields.ts'

/**
 * Descriptions of msgpack bodies: one description checks and builds what is packed, and checks what was unpacked into
 * fresh objects. A record is an array of its fields in the order of the description. That order is append-only: a
 * reader drops elements that it does not know, and a field added later must be optional.
 */
export interface Shape<T> {
  /** Checks a value and gives its plain form in a frame of wire version `wire`; throws BAD_FRAME. */
  write(value: T, wire: number): unknown
  /** Checks a plain form that a frame of wire version `wire` held and gives a fresh value; throws BAD_FRAME. */
  read(raw: unknown, wire: number): T
  /** Bytes that the packed form takes at most. */
  size(value: T): number
  /** May be absent (nil). */
  readonly optional?: true
  /** First wire version that has it: a field is absent in older ones, a variant cannot be sent. */
  readonly since?: number
}

const NUMBER_BYTES = 9
const LENGTH_BYTES = 5

export function number<T extends number>(check: (value: unknown) => T): Shape<T> {
  const own = (value: unknown): T => check(value)
  return { write: own, read: own, size: () => NUMBER_BYTES }
}

export function integer(what: string, min: number, max: number): Shape<number> {
  return number((value) => whole(value, what, min, max))
}

export const flag: Shape<boolean> = {
  write: checkFlag,
  read: checkFlag,
  size: () => 1,
}

function checkFlag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw badFrame(`a flag must be true or false, not ${describe(value)}`)
  return value
}

/** A string that a check knows (names, addresses): refused when it does not fit, never cut. */
export function string<T extends string>(check: (value: unknown) => T): Shape<T> {
  const own = (value: unknown): T => check(value)
  return { write: own, read: own, size: (value) => LENGTH_BYTES + 3 * value.length }
}

/** Text for people: cut at `max` when written. */
export function text(what: string, max: number): Shape<string> {
  return {
    write: (value) => cutText(value, what, max),
    read: (raw) => textField(raw, what, max),
    size: (value) => LENGTH_BYTES + 3 * Math.min(value.length, max),
  }
}

/** A UUID, as its 16 bytes. */
export function uuid<T extends string>(): Shape<T> {
  return {
    write: uuidBytes,
    read: (raw) => {
      if (!(raw instanceof Uint8Array)) throw badFrame(`an id must be bytes, not ${describe(raw)}`)
      return uuidOf(raw) as T
    },
    size: () => 18,
  }
}

/** Bytes that outlive the frame: a copy. */
export function bytes(what: string, max: number): Shape<Uint8Array> {
  const check = (value: unknown): Uint8Array => {
    if (!(value instanceof Uint8Array) || value.length > max) {
      throw badFrame(`${what} must be at most ${max} bytes, not ${describe(value)}`)
    }
    return value
  }
  return {
    // msgpackr packs a Buffer as binary whatever its version, and a plain view of one costs nothing.
    write: (value) => Buffer.from(check(value)),
    read: (raw) => new Uint8Array(check(raw)),
    size: (value) => LENGTH_BYTES + value.length,
  }
}

/** One of a list of words, as its place: the list is append-only. */
export function choice<T extends string>(what: string, words: readonly T[]): Shape<T> {
  return {
    write(value) {
      const place = words.indexOf(value)
      if (place < 0) throw badFrame(`${what} must be one of ${words.join(', ')}`)
      return place
    },
    read: (raw) => words[whole(raw, what, 0, words.length - 1)] as T,
    size: () => NUMBER_BYTES,
  }
}

export function list<T>(what: string, item: Shape<T>, max: number): Shape<readonly T[]> {
  const check = (value: unknown): readonly unknown[] => {
    if (!Array.isArray(value) || value.length > max) {
      throw badFrame(`${what} must be a list of at most ${max}, not ${describe(value)}`)
    }
    return value
  }
  return {
    write: (value, wire) => check(value).map((each) => item.write(each as T, wire)),
    read: (raw, wire) => check(raw).map((each) => item.read(each, wire)),
    size: (value) => value.reduce((sum, each) => sum + item.size(each), LENGTH_BYTES),
  }
}

export function optional<T>(shape: Shape<T>): Shape<T> {
  return { ...shape, optional: true }
}

/**
 * Wire versions before `wire` do not have this field, or arm of `variants`. On such a link the field is neither written
 * nor read, whatever is at its position; the arm is refused as BAD_FRAME.
 */
export function since<T>(wire: number, shape: Shape<T>): Shape<T> {
  return { ...shape, optional: true, since: wire }
}

function isIn(wire: number, shape: Pick<Shape<never>, 'since'>): boolean {
  return shape.since === undefined || wire >= shape.since
}

/** Fields of a record by name, in wire order. */
export type Fields<T> = { readonly [K in keyof T]-?: Shape<Exclude<T[K], undefined>> }

/** A record whose `constant` members (a type, a tag) do not travel but are part of every value. */
export function record<T extends object>(what: string, constant: Partial<T>, fields: Partial<Fields<T>>): Shape<T> {
  const entries = Object.entries(fields) as [keyof T & string, Shape<unknown>][]
  return {
    write(value, wire) {
      const members = entries.map(([name, shape]) => {
        const member: unknown = isIn(wire, shape) ? value[name] : undefined
        return member === undefined && shape.optional ? undefined : named(what, name, () => shape.write(member, wire))
      })
      // A field that was added later and is absent leaves the bytes as they were before there was one.
      while (members.length > 0 && members.at(-1) === undefined) members.pop()
      return members
    },
    read(raw, wire) {
      if (!Array.isArray(raw)) throw badFrame(`${what} must be a list of fields, not ${describe(raw)}`)
      const value: Record<string, unknown> = { ...constant }
      entries.forEach(([name, shape], place) => {
        const member: unknown = raw[place]
        if (!isIn(wire, shape) || ((member === undefined || member === null) && shape.optional)) return
        value[name] = named(what, name, () => shape.read(member, wire))
      })
      return value as T
    },
    size: (value) =>
      entries.reduce((sum, [name, shape]) => {
        const member: unknown = value[name]
        return sum + (member === undefined ? 1 : shape.size(member))
      }, LENGTH_BYTES),
  }
}

function named<T>(what: string, name: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw badFrame(`${what}.${name}: ${(error as Error).message}`, error)
  }
}

/** One of several records. The number of its tag comes first on the wire: the order of `arms` is append-only. */
export function variants<T extends object>(
  what: string,
  tag: keyof T & string,
  arms: Record<string, Shape<never>>,
): Shape<T> {
  const words = Object.keys(arms)
  const shapes = Object.values(arms) as unknown as Shape<T>[]
  const place = (value: T): number => {
    const index = words.indexOf(String(value[tag]))
    if (index < 0) throw badFrame(`${what}.${tag} must be one of ${words.join(', ')}`)
    return index
  }
  const at = (index: number, wire: number): Shape<T> => {
    const shape = shapes[index] as Shape<T>
    if (!isIn(wire, shape)) throw badFrame(`${what} ${words[index]} does not exist in wire version ${wire}`)
    return shape
  }
  return {
    write: (value, wire) => [place(value), at(place(value), wire).write(value, wire)],
    read(raw, wire) {
      if (!Array.isArray(raw)) throw badFrame(`${what} must be a tag and a record, not ${describe(raw)}`)
      return at(whole(raw[0], `${what}.${tag}`, 0, words.length - 1), wire).read(raw[1], wire)
    },
    size: (value) => LENGTH_BYTES + NUMBER_BYTES + (shapes[place(value)] as Shape<T>).size(value),
  }
}
