import type { BlockIndex, ExtentId, VolumeId } from '@ashlar/proto'
import type { KeyRange } from '../driver.ts'
import { asBuffer, readU48, readU64, writeU32, writeU48, writeU64 } from './bytes.ts'

/**
 * Every key of a store: one prefix byte, then numbers big-endian, so that bytewise order is numeric order. The table is
 * append-only: a prefix is never given another meaning.
 *
 *   key                          value
 *   h s                          identity of the store (identity-repository.ts)
 *   h j                          number of the first journal key that no checkpoint covers (journal-repository.ts)
 *   h c                          how far the scrub is (scrub-repository.ts)
 *   m extent48                   head, sizes and dedupe windows of a replica (head-repository.ts)
 *   v extent48 block32           version of a block (version-value.ts); absent blocks have none
 *   b extent48 block32           bytes of a block, exactly when its version is DATA
 *   d extent48 chunk32           digests of 256 leaves at the last checkpoint (digest-repository.ts)
 *   j batch64                    what one batch changed (journal-repository.ts)
 *   o volume32                   name and sizes of a volume, to rebuild a lost map from (amendment 16)
 *   t extent48                   tombstone: the replica was dropped, its keys are being deleted; empty
 *   x extent48 block32           the block was found damaged; empty
 */
const PREFIX = {
  store: 0x68,
  head: 0x6d,
  version: 0x76,
  bytes: 0x62,
  digests: 0x64,
  journal: 0x6a,
  volume: 0x6f,
  tombstone: 0x74,
  damaged: 0x78,
} as const

/** Keys that name a block of an extent, and are deleted with it. */
export const BLOCK_SPACES = ['version', 'bytes', 'digests', 'damaged'] as const
export type BlockSpace = (typeof BLOCK_SPACES)[number]
type ExtentSpace = 'head' | 'tombstone'

export const STORE_KEY: Uint8Array = Buffer.from([PREFIX.store, 0x73])
export const JOURNAL_START_KEY: Uint8Array = Buffer.from([PREFIX.store, 0x6a])
export const SCRUB_KEY: Uint8Array = Buffer.from([PREFIX.store, 0x63])

/** Key of one block (or, for digests, one chunk of leaves) of an extent. */
export function blockKey(space: BlockSpace, extent: ExtentId, block: BlockIndex): Buffer {
  const key = Buffer.allocUnsafe(11)
  key[0] = PREFIX[space]
  writeU48(key, 1, extent)
  writeU32(key, 7, block)
  return key
}

export function blockOfKey(key: Uint8Array): BlockIndex {
  return asBuffer(key).readUInt32BE(7)
}

/** Keys of blocks from `from` to before `to` of one extent; without bounds all of them. */
export function blockRange(space: BlockSpace, extent: ExtentId, from = 0, to?: BlockIndex): KeyRange {
  return {
    from: blockKey(space, extent, from),
    to: to === undefined ? blockKey(space, (extent + 1) as ExtentId, 0) : blockKey(space, extent, to),
  }
}

export function extentKey(space: ExtentSpace, extent: ExtentId): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = PREFIX[space]
  writeU48(key, 1, extent)
  return key
}

export function extentOfKey(key: Uint8Array): ExtentId {
  return readU48(asBuffer(key), 1) as ExtentId
}

export function volumeKey(volume: VolumeId): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = PREFIX.volume
  writeU32(key, 1, volume)
  return key
}

export function volumeOfKey(key: Uint8Array): VolumeId {
  return asBuffer(key).readUInt32BE(1) as VolumeId
}

export function journalKey(batch: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = PREFIX.journal
  writeU64(key, 1, batch)
  return key
}

export function batchOfKey(key: Uint8Array): number {
  return readU64(asBuffer(key), 1)
}

/** Every key with the prefix of a space. */
export function wholeSpace(space: keyof typeof PREFIX): KeyRange {
  return { from: Buffer.from([PREFIX[space]]), to: Buffer.from([PREFIX[space] + 1]) }
}
