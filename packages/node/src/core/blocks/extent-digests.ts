import type { BlockIndex, BlockVersion } from '@ashlar/proto'
import {
  addDigest,
  addVersion,
  DIGEST_LANES,
  digestBytes,
  digestsBytes,
  digestsFromBytes,
  subtractVersion,
} from './digest.ts'
import { type LeafTable, leafCount, leafOf } from './leaf-table.ts'

/** Digests of one extent: one a leaf, and their sum. */
export class ExtentDigests {
  readonly leaves: number
  private readonly root = new Uint32Array(DIGEST_LANES)
  private readonly leafLanes: Uint32Array

  /** Digests of an extent of so many blocks that are all absent. */
  constructor(blocks: number) {
    this.leaves = leafCount(blocks)
    this.leafLanes = new Uint32Array(this.leaves * DIGEST_LANES)
  }

  /** A block went from one version to another. */
  replace(block: BlockIndex, before: BlockVersion, after: BlockVersion): void {
    const at = leafOf(block) * DIGEST_LANES
    subtractVersion(this.leafLanes, at, block, before)
    addVersion(this.leafLanes, at, block, after)
    subtractVersion(this.root, 0, block, before)
    addVersion(this.root, 0, block, after)
  }

  /** True when no block under the leaf has a version (but for a chance of 2^-128). */
  isEmpty(leaf: number): boolean {
    const at = leaf * DIGEST_LANES
    for (let lane = 0; lane < DIGEST_LANES; lane++) if (this.leafLanes[at + lane] !== 0) return false
    return true
  }

  /** True when the versions of a leaf have the digest that is kept for it. */
  matches(table: LeafTable): boolean {
    const lanes = digestOfLeaf(table)
    const at = table.leaf * DIGEST_LANES
    return lanes.every((lane, i) => lane === this.leafLanes[at + i])
  }

  /** The digest of one leaf as it is now: what `matches` compares with, for a caller that cannot compare at once. */
  leafDigest(leaf: number): readonly number[] {
    return [...this.leafLanes.subarray(leaf * DIGEST_LANES, (leaf + 1) * DIGEST_LANES)]
  }

  /** Replaces the digest of a leaf by that of these versions. */
  adopt(table: LeafTable): void {
    this.leafLanes.set(digestOfLeaf(table), table.leaf * DIGEST_LANES)
    this.sumUp()
  }

  /** Replaces digests of leaves by their wire form, 16 bytes a leaf from `firstLeaf` on. */
  load(firstLeaf: number, bytes: Uint8Array): void {
    const lanes = digestsFromBytes(bytes)
    this.leafLanes.set(lanes, firstLeaf * DIGEST_LANES)
    this.sumUp()
  }

  /** 16 new bytes: the digest of the whole extent. */
  rootBytes(): Uint8Array {
    return digestBytes(this.root)
  }

  /** 16 new bytes a leaf, leaves in order; all of them, or those from `firstLeaf` to before `endLeaf`. */
  leafBytes(firstLeaf = 0, endLeaf: number = this.leaves): Uint8Array {
    return digestsBytes(this.leafLanes.subarray(firstLeaf * DIGEST_LANES, endLeaf * DIGEST_LANES))
  }

  private sumUp(): void {
    this.root.fill(0)
    for (let leaf = 0; leaf < this.leaves; leaf++) addDigest(this.root, 0, this.leafLanes, leaf * DIGEST_LANES)
  }
}

function digestOfLeaf(table: LeafTable): Uint32Array {
  const lanes = new Uint32Array(DIGEST_LANES)
  for (const version of table.versions()) addVersion(lanes, 0, version.block, version)
  return lanes
}
