import type { Bytes } from '@ashlar/proto'

/**
 * Contents that name their writer. A write has one value, a number never used by another write, and stamps every sector
 * that it covers with it; what lies between the stamps is zero. A cell is the part that a write covers as a whole or
 * not at all, so its sectors always agree.
 */
export const SECTOR_BYTES: Bytes = 512
export const CELL_BYTES: Bytes = 2048

/** New bytes stamped with a value; the length is a multiple of the sector. */
export function stamped(value: number, length: Bytes): Uint8Array {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < length; at += SECTOR_BYTES) view.setUint32(at, value)
  return bytes
}

/** The value of each cell in turn; undefined where the sectors of a cell do not agree. */
export function valuesOf(bytes: Uint8Array): (number | undefined)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values: (number | undefined)[] = []
  for (let cell = 0; cell < bytes.length; cell += CELL_BYTES) {
    const value = view.getUint32(cell)
    let whole = true
    for (let at = cell + SECTOR_BYTES; at < cell + CELL_BYTES; at += SECTOR_BYTES) {
      if (view.getUint32(at) !== value) whole = false
    }
    values.push(whole ? value : undefined)
  }
  return values
}
