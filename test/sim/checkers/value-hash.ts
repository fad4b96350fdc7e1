const NUMBER = 0x3c6ef372
const ARRAY = 0x2c1b3c6d
const OBJECT = 0x297a2d39
const BYTES = 0x5bd1e995
const TRUE = 0x1b56c4e9
const FALSE = 0x68e31da4

const double = new Float64Array(1)
const halves = new Uint32Array(double.buffer)

/**
 * 32 bits over the numbers, the truth values and the lengths of byte arrays in a value. A name or a text that changes
 * leaves them as they are: texts, names of fields, and the order in which fields are written.
 */
export function hashOf(value: unknown): number {
  if (typeof value === 'number') return hashOfNumber(value)
  if (typeof value === 'object') return value === null ? 0 : hashOfObject(value)
  if (typeof value === 'boolean') return value ? TRUE : FALSE
  return typeof value === 'bigint' ? hashOfNumber(Number(value)) : 0
}

function hashOfObject(value: object): number {
  if (value instanceof Uint8Array) return spread(BYTES ^ value.length)
  if (Array.isArray(value)) return hashOfItems(value)
  if (value instanceof Map || value instanceof Set) return hashOfItems([...value])
  let sum = OBJECT
  // A sum, because it does not depend on the order of the fields; one without a number in it adds nothing.
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name]
    if (typeof field !== 'string' && field !== undefined) sum = (sum + hashOf(field)) | 0
  }
  return spread(sum)
}

function hashOfItems(items: readonly unknown[]): number {
  let hash = ARRAY ^ items.length
  for (const item of items) hash = Math.imul(hash ^ hashOf(item), 0x01000193)
  return spread(hash)
}

function hashOfNumber(value: number): number {
  const whole = value | 0
  if (whole === value) return spread(NUMBER ^ whole)
  double[0] = value
  return spread(NUMBER ^ (halves[0] ?? 0) ^ Math.imul(halves[1] ?? 0, 0x85ebca6b))
}

/** Every bit of the result depends on every bit of the value. */
function spread(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
