import { randomBytes } from 'node:crypto'
import type { ClusterId, StoreId } from '@ashlar/proto'

/** UUIDv7 (RFC 9562): 48 bits of the wall clock in milliseconds, then random bits. Sort by age, mean nothing else. */
export function newStoreId(nowMs: number = Date.now()): StoreId {
  return newUuid(nowMs) as StoreId
}

/** The id of a cluster that is made of what is left of another one. */
export function newClusterId(nowMs: number = Date.now()): ClusterId {
  return newUuid(nowMs) as ClusterId
}

function newUuid(nowMs: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return groups.join('-')
}
