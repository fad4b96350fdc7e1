import { crc32 } from 'node:zlib'
import { ABSENT_VERSION, BLOCK_DATA, type BlockIndex, type BlockVersion, type ExtentId, LIMITS } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import { blockOfKey, blockRange } from '../encoding/keyspace.ts'
import { decodeVersion } from '../repositories/version-value.ts'

/** A block as one store has it on disk. */
export interface StoredBlock {
  readonly version: BlockVersion
  /** Present when the version is DATA and they match its checksum. */
  readonly bytes: Uint8Array | undefined
  /** The bytes of this version are missing or wrong; or there are bytes without a version, which was lost then. */
  readonly damaged: boolean
}

/** Versions of the blocks of one leaf that have one, by block. */
async function readLeafVersions(
  driver: StorageDriver,
  extent: ExtentId,
  leaf: number,
): Promise<Map<BlockIndex, BlockVersion>> {
  const versions = new Map<BlockIndex, BlockVersion>()
  const first = leaf * LIMITS.leafBlocks
  for await (const { key, value } of driver.scan(blockRange('version', extent, first, first + LIMITS.leafBlocks))) {
    const version = decodeVersion(value)
    if (version !== undefined) versions.set(blockOfKey(key), version)
  }
  return versions
}

/** Blocks of one leaf with their bytes, each checked, in order: those that have a version or bytes. At most one leaf is in memory. */
export async function readLeafBlocks(
  driver: StorageDriver,
  extent: ExtentId,
  leaf: number,
): Promise<Map<BlockIndex, StoredBlock>> {
  const versions = await readLeafVersions(driver, extent, leaf)
  const blocks = new Map<BlockIndex, StoredBlock>()
  for (const [block, version] of versions) {
    blocks.set(block, { version, bytes: undefined, damaged: version.kind === BLOCK_DATA })
  }
  const first = leaf * LIMITS.leafBlocks
  for await (const { key, value } of driver.scan(blockRange('bytes', extent, first, first + LIMITS.leafBlocks))) {
    const block = blockOfKey(key)
    const version = versions.get(block)
    if (version === undefined) blocks.set(block, { version: ABSENT_VERSION, bytes: undefined, damaged: true })
    else if (version.kind === BLOCK_DATA && crc32(value) === version.checksum) {
      blocks.set(block, { version, bytes: value, damaged: false })
    }
  }
  return blocks
}
