import {
  ABSENT_VERSION,
  BLOCK_ABSENT,
  type BlockIndex,
  type BlockKind,
  type BlockVersion,
  invariant,
} from '@ashlar/proto'
import { ExtentDigests } from './extent-digests.ts'
import { LeafTable, leafOf } from './leaf-table.ts'

/** Versions and digests of a whole extent in memory; leaves without a version take no space. */
export class VersionTable {
  readonly blocks: number
  readonly digests: ExtentDigests
  private readonly leaves = new Map<number, LeafTable>()

  constructor(blocks: number) {
    this.blocks = blocks
    this.digests = new ExtentDigests(blocks)
  }

  get(block: BlockIndex): BlockVersion {
    return this.leaves.get(leafOf(block))?.get(block) ?? ABSENT_VERSION
  }

  /** Replaces the version of a block, keeps the digests right, and returns the version before. */
  set(block: BlockIndex, version: BlockVersion): BlockVersion {
    invariant(block >= 0 && block < this.blocks, `block ${block} of an extent of ${this.blocks} blocks`)
    const index = leafOf(block)
    let leaf = this.leaves.get(index)
    if (leaf === undefined) {
      if (version.kind === BLOCK_ABSENT) return ABSENT_VERSION
      leaf = new LeafTable(index)
      this.leaves.set(index, leaf)
    }
    const before = leaf.set(block, version)
    this.digests.replace(block, before, version)
    if (leaf.present === 0) this.leaves.delete(index)
    return before
  }

  /** Every block under a leaf that has a version, ascending. */
  versionsOf(leaf: number): (BlockVersion & { readonly block: BlockIndex })[] {
    return this.leaves.get(leaf)?.versions() ?? []
  }

  /** Runs of blocks of one kind that cover [firstBlock, firstBlock + blocks) in order. */
  runs(firstBlock: BlockIndex, blocks: number): { blocks: number; kind: BlockKind }[] {
    const runs = new KindRuns()
    for (let block = firstBlock; block < firstBlock + blocks; block++) {
      runs.add(this.leaves.get(leafOf(block))?.kind(block) ?? BLOCK_ABSENT, 1)
    }
    return runs.runs
  }
}

/** Gathers kinds of blocks in order into runs of equal kind. */
export class KindRuns {
  readonly runs: { blocks: number; kind: BlockKind }[] = []

  add(kind: BlockKind, blocks: number): void {
    if (blocks <= 0) return
    const last = this.runs.at(-1)
    if (last?.kind === kind) last.blocks += blocks
    else this.runs.push({ blocks, kind })
  }
}
