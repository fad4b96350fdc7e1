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

/** Entries that a new table has space for; a search among so few is as fast as an index. */
const FEW_ENTRIES = 16
/** Memory of a table of few entries, as a part of that of a full one: about 600 bytes of 6 KiB. */
const FEW_WEIGHT = 1 / 8

/** An entry is three numbers: epoch, seq, and slot, kind and checksum in one: 8, 4 and 32 bits, which a float64 holds exactly. */
const ENTRY_NUMBERS = 3
const KIND_UNIT = 2 ** 32
const SLOT_UNIT = 2 ** 36

/**
 * Versions of the LIMITS.leafBlocks blocks of one leaf. Blocks are named by their index in the extent. A leaf of few
 * versions, common where a large volume is sparsely written, takes a tenth of the memory of a full one.
 */
export class LeafTable {
  readonly leaf: number
  /** Entries of few versions in no order; of more, each in its slot, with kind BLOCK_ABSENT where there is none. */
  private entries = new Float64Array(FEW_ENTRIES * ENTRY_NUMBERS)
  private presentCount = 0

  constructor(leaf: number) {
    this.leaf = leaf
  }

  /** Blocks that have a version. */
  get present(): number {
    return this.presentCount
  }

  /** Memory of this table, as a part of that of a table of all blocks. */
  get weight(): number {
    return this.isFew ? FEW_WEIGHT : 1
  }

  private get isFew(): boolean {
    return this.entries.length === FEW_ENTRIES * ENTRY_NUMBERS
  }

  kind(block: BlockIndex): BlockKind {
    const at = this.find(block % LIMITS.leafBlocks)
    return at < 0 ? BLOCK_ABSENT : kindOf(this.entries[at + 2] as number)
  }

  get(block: BlockIndex): BlockVersion {
    const at = this.find(block % LIMITS.leafBlocks)
    return at < 0 ? ABSENT_VERSION : this.versionAt(at)
  }

  /** Replaces the version of a block and returns the one before. */
  set(block: BlockIndex, version: BlockVersion): BlockVersion {
    const slot = block % LIMITS.leafBlocks
    const at = this.find(slot)
    const before = at < 0 ? ABSENT_VERSION : this.versionAt(at)
    if (version.kind !== BLOCK_ABSENT) this.put(at < 0 ? this.newEntry(slot) : at, slot, version)
    else if (at >= 0) this.remove(at)
    return before
  }

  /** An independent copy. */
  clone(): LeafTable {
    const copy = new LeafTable(this.leaf)
    copy.entries = this.entries.slice()
    copy.presentCount = this.presentCount
    return copy
  }

  /** Every block that has a version, ascending. */
  versions(): (BlockVersion & { readonly block: BlockIndex })[] {
    const found: (BlockVersion & { readonly block: BlockIndex })[] = []
    const first = this.leaf * LIMITS.leafBlocks
    for (let at = 0; at < this.entries.length; at += ENTRY_NUMBERS) {
      const packed = this.entries[at + 2] as number
      if (packed !== 0) found.push({ block: first + slotOf(packed), ...this.versionAt(at) })
    }
    return this.isFew ? found.sort((a, b) => a.block - b.block) : found
  }

  /** Where the entry of a slot begins; -1 where there is none. A number of 0 in place of slot, kind and checksum is no entry. */
  private find(slot: number): number {
    const entries = this.entries
    if (!this.isFew) return entries[slot * ENTRY_NUMBERS + 2] === 0 ? -1 : slot * ENTRY_NUMBERS
    for (let at = 0; at < this.presentCount * ENTRY_NUMBERS; at += ENTRY_NUMBERS)
      if (slotOf(entries[at + 2] as number) === slot) return at
    return -1
  }

  private newEntry(slot: number): number {
    if (this.isFew && this.presentCount === FEW_ENTRIES) this.spread()
    return (this.isFew ? this.presentCount : slot) * ENTRY_NUMBERS
  }

  /** Gives every block a slot. */
  private spread(): void {
    const few = this.entries
    this.entries = new Float64Array(LIMITS.leafBlocks * ENTRY_NUMBERS)
    for (let at = 0; at < few.length; at += ENTRY_NUMBERS)
      this.entries.set(few.subarray(at, at + ENTRY_NUMBERS), slotOf(few[at + 2] as number) * ENTRY_NUMBERS)
  }

  private put(at: number, slot: number, { epoch, seq, kind, checksum }: BlockVersion): void {
    const entries = this.entries
    if (entries[at + 2] === 0) this.presentCount++
    entries[at] = epoch
    entries[at + 1] = seq
    entries[at + 2] = slot * SLOT_UNIT + kind * KIND_UNIT + checksum
  }

  private remove(at: number): void {
    this.presentCount--
    const end = this.isFew ? this.presentCount * ENTRY_NUMBERS : at
    // Of few the last one fills the gap.
    this.entries.copyWithin(at, end, end + ENTRY_NUMBERS)
    this.entries.fill(0, end, end + ENTRY_NUMBERS)
  }

  private versionAt(at: number): BlockVersion {
    const packed = this.entries[at + 2] as number
    return {
      epoch: this.entries[at] as Epoch,
      seq: this.entries[at + 1] as Seq,
      kind: kindOf(packed),
      checksum: packed % KIND_UNIT,
    }
  }
}

function slotOf(packed: number): number {
  return Math.floor(packed / SLOT_UNIT)
}

function kindOf(packed: number): BlockKind {
  return (Math.floor(packed / KIND_UNIT) % 16) as BlockKind
}
