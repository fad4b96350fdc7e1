/** Big-endian numbers and strict UTF-8 over plain byte arrays, for code that may not use Buffer or TextDecoder. */

/** A view of exactly these bytes; writes go through to them. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * An unsigned 64-bit number as a double. Exact below 2^53; above it is rounded and stays at least 2^53, which is larger
 * than any export, so that comparisons with sizes and sums of sizes still come out right.
 */
export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
}

/** Writes a safe integer that is not negative as 64 bits. */
export function writeUint64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  view.setUint32(at, high)
  view.setUint32(at + 4, value - high * 0x1_0000_0000)
}

/** The string of these bytes, or undefined when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  let escaped = ''
  for (const byte of bytes) escaped += `%${byte < 16 ? '0' : ''}${byte.toString(16)}`
  try {
    return decodeURIComponent(escaped)
  } catch {
    return undefined
  }
}

/** UTF-8 of a string; lone surrogates, which UTF-8 cannot carry, become U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(
    text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd'),
  )
  const bytes: number[] = []
  for (let at = 0; at < escaped.length; at++) {
    if (escaped[at] === '%') {
      bytes.push(Number.parseInt(escaped.slice(at + 1, at + 3), 16))
      at += 2
    } else bytes.push(escaped.charCodeAt(at))
  }
  return Uint8Array.from(bytes)
}

/** Joins the parts into one array of `length` bytes, which must be their sum. */
export function concatenate(parts: readonly Uint8Array[], length: number, allocate = defaultAllocate): Uint8Array {
  const whole = allocate(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Gives an array of that many bytes, whose content is overwritten before anyone reads it. */
export type Allocate = (length: number) => Uint8Array

export const defaultAllocate: Allocate = (length) => new Uint8Array(length)
