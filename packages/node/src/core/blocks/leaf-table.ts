import {
  ABSENT_VERSION,
  BLOCK_ABSENT,
  type BlockIndex,
  type BlockKind,
  type BlockVersion,
  type Epoch,
  LIMITS,
  type Seq,
} from '@ashlar/proto'

/** Leaf that a block belongs to. */
export function leafOf(block: BlockIndex): number {
  return Math.floor(block / LIMITS.leafBlocks)
}

/** Leaves of an extent with so many blocks. */
export function leafCount(blocks: number): number {
  return Math.ceil(blocks / LIMITS.leafBlocks)
}

/** Versions of the LIMITS.leafBlocks blocks of one leaf: about 5 KiB. Blocks are named by their index in the extent. */
export class LeafTable {
  readonly leaf: number
  readonly #epochs = new Float64Array(LIMITS.leafBlocks)
  readonly #seqs = new Float64Array(LIMITS.leafBlocks)
  readonly #checksums = new Uint32Array(LIMITS.leafBlocks)
  readonly #kinds = new Uint8Array(LIMITS.leafBlocks)
  #present = 0

  constructor(leaf: number) {
    this.leaf = leaf
  }

  /** Blocks that have a version. */
  get present(): number {
    return this.#present
  }

  kind(block: BlockIndex): BlockKind {
    return this.#kinds[block % LIMITS.leafBlocks] as BlockKind
  }

  get(block: BlockIndex): BlockVersion {
    const slot = block % LIMITS.leafBlocks
    const kind = this.#kinds[slot] as BlockKind
    if (kind === BLOCK_ABSENT) return ABSENT_VERSION
    return {
      epoch: this.#epochs[slot] as Epoch,
      seq: this.#seqs[slot] as Seq,
      kind,
      checksum: this.#checksums[slot] as number,
    }
  }

  /** Replaces the version of a block and returns the one before. */
  set(block: BlockIndex, version: BlockVersion): BlockVersion {
    const slot = block % LIMITS.leafBlocks
    const before = this.get(block)
    if (before.kind !== BLOCK_ABSENT) this.#present--
    if (version.kind !== BLOCK_ABSENT) this.#present++
    this.#epochs[slot] = version.epoch
    this.#seqs[slot] = version.seq
    this.#checksums[slot] = version.checksum
    this.#kinds[slot] = version.kind
    return before
  }

  /** An independent copy. */
  clone(): LeafTable {
    const copy = new LeafTable(this.leaf)
    copy.#epochs.set(this.#epochs)
    copy.#seqs.set(this.#seqs)
    copy.#checksums.set(this.#checksums)
    copy.#kinds.set(this.#kinds)
    copy.#present = this.#present
    return copy
  }

  /** Every block that has a version, ascending. */
  versions(): (BlockVersion & { readonly block: BlockIndex })[] {
    const found: (BlockVersion & { readonly block: BlockIndex })[] = []
    const first = this.leaf * LIMITS.leafBlocks
    for (let slot = 0; slot < LIMITS.leafBlocks; slot++) {
      if (this.#kinds[slot] !== BLOCK_ABSENT) found.push({ block: first + slot, ...this.get(first + slot) })
    }
    return found
  }
}
