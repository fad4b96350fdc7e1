import { uuidOfHex } from '@ashlar/proto'

/** Bytes of a UUID. */
export const UUID_BYTES = 16

export function writeUuid(bytes: Buffer, uuid: string, at: number): void {
  bytes.write(uuid.replaceAll('-', ''), at, 'hex')
}

/** The UUID in 16 bytes from `at` on, as text. */
export function uuidAt(bytes: Buffer, at: number): string {
  return uuidOfHex(bytes.toString('hex', at, at + UUID_BYTES))
}
