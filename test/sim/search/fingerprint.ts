import { hash } from 'node:crypto'

/**
 * Everything that an object holds, directly or through others, as 128 bits: equal for two objects that hold the same.
 * The order of the entries of maps and sets counts, since machines iterate over them. Instances of classes are numbered
 * when they are first met, so that it counts too where a machine holds one object twice; plain objects and arrays are
 * values. Functions count for nothing: what a machine waits for has to be distinguished by its caller.
 */
export function fingerprint(root: object, skipped: ReadonlySet<string>, more: string): string {
  const met = new Map<object, number>()
  const parts: string[] = [more]
  walk(root, met, skipped, parts)
  return hash('md5', parts.join(''), 'base64')
}

function walk(value: unknown, met: Map<object, number>, skipped: ReadonlySet<string>, parts: string[]): void {
  switch (typeof value) {
    case 'string':
      parts.push('"', value, '"')
      return
    case 'function':
      return
    case 'object':
      if (value !== null) return walkObject(value, met, skipped, parts)
      parts.push('null')
      return
    default:
      parts.push(String(value), ',')
  }
}

function walkObject(value: object, met: Map<object, number>, skipped: ReadonlySet<string>, parts: string[]): void {
  if (value instanceof Uint8Array) {
    parts.push(bytesText(value))
    return
  }
  if (Array.isArray(value)) {
    parts.push('[')
    for (const member of value) walk(member, met, skipped, parts)
    parts.push(']')
    return
  }
  if (value instanceof Map) {
    parts.push('{')
    for (const [key, member] of value) {
      walk(key, met, skipped, parts)
      walk(member, met, skipped, parts)
    }
    parts.push('}')
    return
  }
  if (value instanceof Set) {
    parts.push('(')
    for (const member of value) walk(member, met, skipped, parts)
    parts.push(')')
    return
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    const number = met.get(value)
    if (number !== undefined) {
      parts.push('@', String(number))
      return
    }
    met.set(value, met.size)
  }
  parts.push('<')
  for (const key of Object.keys(value)) {
    if (skipped.has(key)) continue
    parts.push(key, ':')
    walk((value as Record<string, unknown>)[key], met, skipped, parts)
  }
  parts.push('>')
}

const texts = new WeakMap<Uint8Array, string>()

/** Byte arrays are never changed once a machine has them. */
export function bytesText(bytes: Uint8Array): string {
  let text = texts.get(bytes)
  if (text === undefined) {
    text = `bytes ${bytes.length > 64 ? hash('md5', bytes, 'base64') : bytes.join('.')};`
    texts.set(bytes, text)
  }
  return text
}

const plainTexts = new WeakMap<object, string>()

/** A message, an effect or another plain value as text; remembered, since the same objects come again and again. */
export function plainText(value: object): string {
  let text = plainTexts.get(value)
  if (text === undefined) {
    text = JSON.stringify(value, (_key, part: unknown) => {
      if (part instanceof Uint8Array) return bytesText(part)
      return part instanceof Map || part instanceof Set ? [...part] : part
    })
    plainTexts.set(value, text)
  }
  return text
}

/** Gives equal texts the same small number, from 0. */
export class Numbers<T extends object> {
  private readonly byText = new Map<string, number>()
  private readonly byObject = new WeakMap<object, number>()
  private readonly values: T[] = []

  of(value: T): number {
    let number = this.byObject.get(value)
    if (number !== undefined) return number
    const text = plainText(value)
    number = this.byText.get(text)
    if (number === undefined) {
      number = this.values.length
      this.byText.set(text, number)
      this.values.push(value)
    }
    this.byObject.set(value, number)
    return number
  }

  value(number: number): T {
    return this.values[number] as T
  }

  get size(): number {
    return this.values.length
  }
}
