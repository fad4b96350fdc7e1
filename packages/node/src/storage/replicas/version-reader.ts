import { BLOCK_ABSENT, type BlockIndex, type BlockKind, LIMITS } from '@ashlar/proto'
import { KindRuns, LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { LeafVersions } from '../../core/machine.ts'
import type { StorageDriver } from '../driver.ts'
import { type LeafCache, scanLeaves } from './leaf-cache.ts'
import type { Replica } from './replica.ts'

/** The versions under each leaf in the state of the call, pending changes included; leaves in the order asked. */
export async function readVersions(
  driver: StorageDriver,
  leaves: LeafCache,
  replica: Replica,
  wanted: readonly number[],
): Promise<LeafVersions[]> {
  const tables = await readTables(driver, leaves, replica, wanted)
  return wanted.map((leaf) => ({ leaf, versions: tables.get(leaf)?.versions() ?? [] }))
}

/** Runs of kinds over a range of blocks in the state of the call. */
export async function readAllocation(
  driver: StorageDriver,
  leaves: LeafCache,
  replica: Replica,
  firstBlock: BlockIndex,
  blocks: number,
): Promise<{ blocks: number; kind: BlockKind }[]> {
  const runs = new KindRuns()
  if (blocks === 0) return runs.runs
  const end = firstBlock + blocks
  const wanted: number[] = []
  for (let leaf = leafOf(firstBlock); leaf <= leafOf(end - 1); leaf++) wanted.push(leaf)
  const tables = await readTables(driver, leaves, replica, wanted)
  for (const leaf of wanted) {
    const from = Math.max(firstBlock, leaf * LIMITS.leafBlocks)
    const to = Math.min(end, (leaf + 1) * LIMITS.leafBlocks)
    const table = tables.get(leaf)
    if (table === undefined) runs.add(BLOCK_ABSENT, to - from)
    else for (let block = from; block < to; block++) runs.add(table.kind(block), 1)
  }
  return runs.runs
}

/**
 * Tables of the wanted leaves as they are at the call; a leaf without versions has none. Leaves in a row that are not in
 * memory are read by one scan. Everything is copied or handed to the driver before this function first waits.
 */
async function readTables(
  driver: StorageDriver,
  leaves: LeafCache,
  replica: Replica,
  wanted: readonly number[],
): Promise<Map<number, LeafTable>> {
  const tables = new Map<number, LeafTable>()
  const cold: number[] = []
  const asked = new Set(wanted)
  for (const leaf of asked) {
    const cached = leaves.peek(replica, leaf)
    if (cached !== undefined) tables.set(leaf, cached.clone())
    else if (!replica.digests.isEmpty(leaf)) cold.push(leaf)
  }
  const pending = [...replica.pending].filter(([block]) => asked.has(leafOf(block)))
  const scans: Promise<LeafTable[]>[] = []
  cold.sort((a, b) => a - b)
  for (let start = 0; start < cold.length; ) {
    let end = start + 1
    while (end < cold.length && cold[end] === (cold[end - 1] as number) + 1) end++
    scans.push(scanLeaves(driver, replica, cold[start] as number, end - start))
    start = end
  }
  for (const scan of await Promise.allSettled(scans)) {
    if (scan.status === 'rejected') throw scan.reason
    for (const table of scan.value) tables.set(table.leaf, table)
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
