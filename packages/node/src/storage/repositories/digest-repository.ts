import type { ExtentId } from '@ashlar/proto'
import type { BatchOperation, StorageDriver } from '../driver.ts'
import { sealed, unsealed } from '../encoding/bytes.ts'
import { blockKey, blockOfKey, extentOfKey, wholeSpace } from '../encoding/keyspace.ts'
import { CHUNK_LEAVES, type LocalReplica } from '../replicas/local-replica.ts'

/** Value of a `d` key: the digests of CHUNK_LEAVES leaves, 16 bytes each (fewer in the last chunk), and a crc32. */
export function putDigests(replica: LocalReplica, chunk: number): BatchOperation {
  const first = chunk * CHUNK_LEAVES
  const bytes = replica.digests.leafBytes(first, Math.min(first + CHUNK_LEAVES, replica.digests.leaves))
  return { type: 'put', key: blockKey('digests', replica.extent, chunk), value: sealed(bytes) }
}

/** Loads every digest into its replica; names the extents of those that do not match their checksum. */
export async function readDigests(
  driver: StorageDriver,
  replicas: ReadonlyMap<ExtentId, LocalReplica>,
): Promise<Set<ExtentId>> {
  const damaged = new Set<ExtentId>()
  for await (const { key, value } of driver.scan(wholeSpace('digests'))) {
    const replica = replicas.get(extentOfKey(key))
    if (replica === undefined) continue
    const bytes = unsealed(value)
    if (bytes === undefined) damaged.add(replica.extent)
    else replica.digests.load(blockOfKey(key) * CHUNK_LEAVES, bytes)
  }
  return damaged
}
