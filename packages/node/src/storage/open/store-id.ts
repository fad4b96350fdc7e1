import { randomBytes } from 'node:crypto'
import type { StoreId } from '@ashlar/proto'

/** A new UUIDv7 (RFC 9562): 48 bits of the wall clock in milliseconds, then random bits. Sorts by age, means nothing else. */
export function newStoreId(nowMs: number = Date.now()): StoreId {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return groups.join('-') as StoreId
}
