import { crc32 } from 'node:zlib'
import {
  BLOCK_TRIM,
  type Epoch,
  extentId,
  LIMITS,
  type Message,
  type SessionId,
  type VolumeId,
  type Write,
  type Zero,
} from '@ashlar/proto'

export const BLOCK = 4096
export const BLOCKS = 4096
export const VOLUME = 1 as VolumeId
export const EXTENT = extentId(VOLUME, 0)
export const SESSION = 77 as SessionId

let requests = 0
export function blockOf(value: number): Uint8Array {
  return new Uint8Array(BLOCK).fill(value)
}

/** A write of whole blocks or of a part, with its checksums. */
export function write(block: number, value: number, op: number, more: Partial<Write> = {}): Write {
  const payload = more.payload ?? blockOf(value)
  requests += 1
  return {
    type: 'write',
    request: requests,
    extent: EXTENT,
    epoch: 1 as Epoch,
    operation: { session: SESSION, op, lowMark: Math.max(1, op - LIMITS.sessionOps + 1), generation: 1 },
    offset: block * BLOCK,
    checksums: [crc32(payload)],
    payload,
    ...more,
  }
}

export function read(block: number, epoch = 1): Extract<Message, { type: 'read' }> {
  requests += 1
  return {
    type: 'read',
    request: requests,
    extent: EXTENT,
    epoch: epoch as Epoch,
    generation: 1,
    offset: block * BLOCK,
    length: BLOCK,
  }
}

/** A trim of whole blocks. */
export function zero(block: number, blocks: number, op: number): Zero {
  requests += 1
  return {
    type: 'zero',
    request: requests,
    extent: EXTENT,
    epoch: 1 as Epoch,
    operation: { session: SESSION, op, lowMark: Math.max(1, op - LIMITS.sessionOps + 1), generation: 1 },
    offset: block * BLOCK,
    length: blocks * BLOCK,
    kind: BLOCK_TRIM,
  }
}
