import type { LoadedBlock } from '@ashlar/node/core'
import type { ExtentRecord } from '@ashlar/proto'
import type { Disk } from '../world/disk.ts'

/**
 * Every assigned store of every extent holds the same versions, and with them the same bytes (A3-30 and A3-32).
 * Rot is left out: until a rotten block is read, its rot is unknown.
 */
export function replicaProblems(extents: Iterable<ExtentRecord>, disks: ReadonlyMap<string, Disk>): string[] {
  const problems: string[] = []
  for (const { id, primary, assigned } of extents) {
    const reference = describe(disks.get(primary.store)?.replicas.get(id)?.blocks())
    for (const store of assigned) {
      const found = describe(disks.get(store)?.replicas.get(id)?.blocks())
      if (found !== reference) problems.push(`extent ${id}: ${store} has ${found}; its primary has ${reference}`)
    }
  }
  return problems
}

function describe(blocks: readonly LoadedBlock[] | undefined): string {
  if (blocks === undefined) return 'no replica'
  return blocks
    .map(({ block, version }) => `${block}:(${version.epoch},${version.seq}) ${version.kind} ${version.checksum}`)
    .join(' ')
}
