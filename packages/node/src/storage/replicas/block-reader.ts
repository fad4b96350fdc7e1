import { crc32 } from 'node:zlib'
import { ABSENT_VERSION, BLOCK_ABSENT, BLOCK_DATA, type BlockIndex, type BlockVersion, LIMITS } from '@ashlar/proto'
import { leafOf } from '../../core/blocks/index.ts'
import type { LoadedBlock } from '../../core/machine.ts'
import type { StorageDriver } from '../driver.ts'
import { blockKey, blockOfKey, blockRange } from '../encoding/keyspace.ts'
import type { GatheredReads } from './gathered-reads.ts'
import type { LeafCache, LeafRead } from './leaf-cache.ts'
import type { LocalReplica } from './local-replica.ts'

const UNPROVEN = { damaged: true, unproven: true } as const
/** Blocks in a row from which on an iterator is cheaper than a search for each. */
const RUN_BLOCKS = 8

export interface LoadResult {
  readonly blocks: LoadedBlock[]
  /** Blocks among them that are damaged, with the version of their key. */
  readonly damaged: { readonly block: BlockIndex; readonly version: BlockVersion }[]
}

/** A block of which bytes must be fetched; `version` is undefined where its leaf must be read first. */
interface Wanted {
  readonly at: number
  readonly block: BlockIndex
  readonly version: BlockVersion | undefined
}

/**
 * Reads blocks in the state of the call: the changes that are pending now, over what the driver has now. A block that is
 * not pending cannot change on disk before a later call, and every read is handed to the driver in the turn of the call,
 * before that one's batch can start, so that version and bytes of a block always belong together (amendment 12). Every
 * checksum is verified.
 */
export async function loadBlocks(
  driver: StorageDriver,
  reads: GatheredReads,
  leaves: LeafCache,
  replica: LocalReplica,
  blocks: readonly BlockIndex[],
): Promise<LoadResult> {
  const loaded: LoadedBlock[] = new Array(blocks.length)
  const wanted: Wanted[] = []
  for (let at = 0; at < blocks.length; at++) {
    const block = blocks[at] as BlockIndex
    const pending = replica.pending.get(block)
    if (pending !== undefined) {
      loaded[at] = givenBlock(block, pending.version, pending.bytes)
      continue
    }
    const version = knownVersion(leaves, replica, block)
    if (version !== undefined && version.kind !== BLOCK_DATA && !replica.unproven.has(block))
      loaded[at] = givenBlock(block, version, undefined)
    else wanted.push({ at, block, version })
  }
  const damaged: { block: BlockIndex; version: BlockVersion }[] = []
  const { fetched, tables } = await fetchAll(driver, reads, leaves, replica, wanted)
  for (const [i, { at, block, version: known }] of wanted.entries()) {
    const read = known === undefined ? tables.get(leafOf(block)) : undefined
    const version = known ?? read?.table.get(block) ?? ABSENT_VERSION
    // Versions that do not have their digest may be older ones, whose bytes may be there as well.
    const isUnproven = read?.sound === false || replica.unproven.has(block)
    const checked = isUnproven ? { block, version, ...UNPROVEN } : checkedBlock(block, version, fetched[i])
    if (checked.damaged) damaged.push({ block, version })
    loaded[at] = checked
  }
  return { blocks: loaded, damaged }
}

/** The version of a block that is not pending, if it is in memory. */
function knownVersion(leaves: LeafCache, replica: LocalReplica, block: BlockIndex): BlockVersion | undefined {
  const leaf = leafOf(block)
  const table = leaves.peek(replica, leaf)
  if (table !== undefined) return table.get(block)
  return replica.digests.isEmpty(leaf) ? ABSENT_VERSION : undefined
}

function givenBlock(block: BlockIndex, version: BlockVersion, bytes: Uint8Array | undefined): LoadedBlock {
  return bytes === undefined ? { block, version, damaged: false } : { block, version, bytes, damaged: false }
}

function checkedBlock(block: BlockIndex, version: BlockVersion, bytes: Uint8Array | undefined): LoadedBlock {
  if (version.kind === BLOCK_DATA) {
    if (bytes === undefined || crc32(bytes) !== version.checksum) return { block, version, damaged: true }
    return { block, version, bytes, damaged: false }
  }
  // Bytes of a block without a version: its version was lost, and zeroes would be silently wrong.
  return { block, version, damaged: version.kind === BLOCK_ABSENT && bytes !== undefined }
}

type Fetched = Uint8Array | undefined

/** Bytes, runs of them by iterator and the rest in one call, and leaves of which no version is known; all start at once. */
async function fetchAll(
  driver: StorageDriver,
  reads: GatheredReads,
  leaves: LeafCache,
  replica: LocalReplica,
  wanted: readonly Wanted[],
): Promise<{ fetched: Fetched[]; tables: Map<number, LeafRead> }> {
  const runs: Promise<void>[] = []
  const singles: number[] = []
  const fetched: Fetched[] = new Array(wanted.length)
  const tables = new Map<number, LeafRead>()
  const cold = new Set(wanted.flatMap(({ block, version }) => (version === undefined ? [leafOf(block)] : [])))
  for (const leaf of cold) runs.push(leaves.read(replica, leaf).then((read) => void tables.set(leaf, read)))
  for (let start = 0; start < wanted.length; ) {
    let end = start + 1
    while (end < wanted.length && (wanted[end] as Wanted).block === (wanted[end - 1] as Wanted).block + 1) end++
    if (end - start >= RUN_BLOCKS) runs.push(fetchRun(driver, replica, wanted, start, end, fetched))
    else for (let i = start; i < end; i++) singles.push(i)
    start = end
  }
  if (singles.length > 0) runs.push(fetchSingles(reads, replica, wanted, singles, fetched))
  // Rejects with the first failure, once all have settled, so that no rejection is left without a handler.
  const settled = await Promise.allSettled(runs)
  for (const result of settled) if (result.status === 'rejected') throw result.reason
  return { fetched, tables }
}

async function fetchSingles(
  reads: GatheredReads,
  replica: LocalReplica,
  wanted: readonly Wanted[],
  singles: readonly number[],
  fetched: Fetched[],
): Promise<void> {
  const keys: Uint8Array[] = []
  for (const i of singles) keys.push(blockKey('bytes', replica.extent, (wanted[i] as Wanted).block))
  const values = await reads.getMany(keys)
  for (const [at, i] of singles.entries()) fetched[i] = values[at]
}

async function fetchRun(
  driver: StorageDriver,
  replica: LocalReplica,
  wanted: readonly Wanted[],
  start: number,
  end: number,
  fetched: Fetched[],
): Promise<void> {
  const first = (wanted[start] as Wanted).block
  const after = first + (end - start)
  const readAheadBytes = Math.min(LIMITS.pieceBytes, (end - start) * (replica.blockSizeBytes + 64))
  const bytesScan = driver.scan(blockRange('bytes', replica.extent, first, after), { readAheadBytes })
  for await (const entry of bytesScan) fetched[start + blockOfKey(entry.key) - first] = entry.value
}
