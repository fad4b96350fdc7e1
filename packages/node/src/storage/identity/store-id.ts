import { randomBytes } from 'node:crypto'
import type { ClusterId, StoreId } from '@ashlar/proto'
import { UUID_BYTES, uuidAt } from '../encoding/uuid-bytes.ts'

/** UUIDv7 (RFC 9562): 48 bits of the wall clock in milliseconds, then random bits. Sort by age, mean nothing else. */
export function newStoreId(nowMs: number = Date.now()): StoreId {
  return newUuid(nowMs) as StoreId
}

/** The id of a cluster that is made of what is left of another one. */
export function newClusterId(nowMs: number = Date.now()): ClusterId {
  return newUuid(nowMs) as ClusterId
}

function newUuid(nowMs: number): string {
  const bytes = randomBytes(UUID_BYTES)
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return uuidAt(bytes, 0)
}
