import { BLOCK_ABSENT, BLOCK_DATA, type BlockIndex, type BlockKind, LIMITS, type Trust } from '@ashlar/proto'
import { KindRuns, LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { LeafVersions } from '../../core/machine.ts'
import type { LeafCache, LeafRead } from './leaf-cache.ts'
import type { LocalReplica } from './local-replica.ts'

/**
 * The versions under each leaf in the state of the call, pending changes included; leaves in the requested order. Undefined where
 * versions do not match their digest: a lost version must not look to a peer as if it was never written. A suspect store
 * returns what it has.
 */
export async function readVersions(
  leaves: LeafCache,
  replica: LocalReplica,
  wanted: readonly number[],
  trust: Trust,
): Promise<LeafVersions[] | undefined> {
  const tables = await readTables(leaves, replica, wanted, trust)
  if (tables === undefined) return undefined
  return wanted.map((leaf) => ({ leaf, versions: tables.get(leaf)?.versions() ?? [] }))
}

/** Runs of kinds over a range of blocks in the state of the call; undefined as for `readVersions`. */
export async function readAllocation(
  leaves: LeafCache,
  replica: LocalReplica,
  firstBlock: BlockIndex,
  blocks: number,
  trust: Trust,
): Promise<{ blocks: number; kind: BlockKind }[] | undefined> {
  const runs = new KindRuns()
  if (blocks === 0) return runs.runs
  const end = firstBlock + blocks
  const wanted: number[] = []
  for (let leaf = leafOf(firstBlock); leaf <= leafOf(end - 1); leaf++) wanted.push(leaf)
  const tables = await readTables(leaves, replica, wanted, trust)
  if (tables === undefined) return undefined
  for (const leaf of wanted) {
    const from = Math.max(firstBlock, leaf * LIMITS.leafBlocks)
    const to = Math.min(end, (leaf + 1) * LIMITS.leafBlocks)
    const table = tables.get(leaf)
    if (table === undefined) runs.add(BLOCK_ABSENT, to - from)
    // A copying tool must not take a block whose version was lost for a hole.
    else
      for (let block = from; block < to; block++)
        runs.add(replica.unproven.has(block) ? BLOCK_DATA : table.kind(block), 1)
  }
  return runs.runs
}

/**
 * Tables of the wanted leaves as they are at the call; a leaf without versions has none. Everything is copied or handed to the
 * driver before this function first waits. Undefined when the digest of one does not match and the store is trusted.
 */
async function readTables(
  leaves: LeafCache,
  replica: LocalReplica,
  wanted: readonly number[],
  trust: Trust,
): Promise<Map<number, LeafTable> | undefined> {
  const tables = new Map<number, LeafTable>()
  const cold: Promise<LeafRead>[] = []
  const requested = new Set(wanted)
  for (const leaf of requested) {
    const cached = leaves.peek(replica, leaf)
    if (cached !== undefined) tables.set(leaf, cached.clone())
    else if (trust === 'suspect' || !replica.digests.isEmpty(leaf)) cold.push(leaves.read(replica, leaf))
  }
  const pending = [...replica.pending].filter(([block]) => requested.has(leafOf(block)))
  for (const read of await Promise.allSettled(cold)) {
    if (read.status === 'rejected') throw read.reason
    if (!read.value.sound && trust === 'trusted') return undefined
    tables.set(read.value.table.leaf, read.value.table)
  }
  for (const [block, { version }] of pending) {
    const leaf = leafOf(block)
    let table = tables.get(leaf)
    if (table === undefined) {
      table = new LeafTable(leaf)
      tables.set(leaf, table)
    }
    table.set(block, version)
  }
  return tables
}
