import { randomBytes } from 'node:crypto'
import type { ClusterId, StoreId } from '@ashlar/proto'
import { UUID_BYTES, uuidAt } from '../encoding/uuid-bytes.ts'

/** UUIDv7 (RFC 9562): 48 bits of the wall clock in milliseconds, then random bits. Sort by age, mean nothing else. */
export function newStoreId(): StoreId {
  return newUuid() as StoreId
}

/** The id of a cluster that is made of what is left of another one. */
export function newClusterId(): ClusterId {
  return newUuid() as ClusterId
}

function newUuid(): string {
  const bytes = randomBytes(UUID_BYTES)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return uuidAt(bytes, 0)
}
