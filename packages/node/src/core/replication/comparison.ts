import { ABSENT_VERSION, type BlockIndex, type BlockVersion, isHigher, type Seq, sameVersion } from '@ashlar/proto'
import type { LeafVersions } from '../machine.ts'

const DIGEST_BYTES = 16
/** Leaves whose versions are asked for at once: bounds what going through an extent keeps in memory. */
export const LEAVES_AT_ONCE = 16
/** Bytes of one load of an extent's blocks: a run is read by one iterator, and little is in memory. */
export const RUN_BYTES = 256 * 1024

/**
 * Leaves whose digests differ, ascending; undefined when the two tables are not of the same size. Both are 16 bytes a
 * leaf, leaves in order.
 */
export function differingLeaves(mine: Uint8Array, theirs: Uint8Array, leaves: number): number[] | undefined {
  if (theirs.length !== leaves * DIGEST_BYTES || mine.length !== theirs.length) return undefined
  const differing: number[] = []
  for (let leaf = 0; leaf < leaves; leaf++) {
    const [from, to] = [leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES]
    if (!sameBytes(mine.subarray(from, to), theirs.subarray(from, to))) differing.push(leaf)
  }
  return differing
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}

/** Blocks whose versions differ in either direction, ascending: also those that only one side has. */
export function differingBlocks(mine: LeafVersions['versions'], theirs: LeafVersions['versions']): BlockIndex[] {
  const left = new Map(mine.map((version) => [version.block, version]))
  const blocks: BlockIndex[] = []
  for (const version of theirs) {
    if (!sameVersion(left.get(version.block) ?? ABSENT_VERSION, version)) blocks.push(version.block)
    left.delete(version.block)
  }
  blocks.push(...left.keys())
  return blocks.sort((a, b) => a - b)
}

/**
 * True when the other side has a block in a newer version than this one, by a write that it knows to be committed: this side
 * had it and lost it (A2.8-4). A newer version above `commitSeq` is a tail that was never acknowledged.
 */
function lacksCommitted(mine: LeafVersions['versions'], theirs: LeafVersions['versions'], commitSeq: Seq): boolean {
  const known = new Map<BlockIndex, BlockVersion>(mine.map((version) => [version.block, version]))
  return theirs.some((version) => {
    const here = known.get(version.block) ?? ABSENT_VERSION
    return isHigher(version, here) && version.seq <= commitSeq
  })
}

/**
 * Versions of leaves as they come in from both sides, a few leaves at a time so that comparing an extent of any size
 * keeps little in memory.
 */
export class LeafComparison {
  private waiting: number[]
  private readonly asked = new Set<number>()
  private readonly mine = new Map<number, LeafVersions['versions']>()
  private readonly theirs = new Map<number, LeafVersions['versions']>()
  private readonly commitSeq: Seq
  /** The other side proves that this one lost a committed write. */
  behind = false

  /** `commitSeq`: what the other side knows to be committed. */
  constructor(leaves: readonly number[], commitSeq: Seq) {
    this.waiting = [...leaves]
    this.commitSeq = commitSeq
  }

  /** Nothing is left to ask for or to compare. */
  get done(): boolean {
    return this.waiting.length === 0 && this.asked.size === 0
  }

  /** The next leaves to ask both sides for; empty while earlier ones are on their way. */
  next(most: number): number[] {
    if (this.asked.size > 0) return []
    const leaves = this.waiting.slice(0, most)
    this.waiting = this.waiting.slice(most)
    for (const leaf of leaves) this.asked.add(leaf)
    return leaves
  }

  addMine(leaf: number, versions: LeafVersions['versions']): BlockIndex[] {
    this.mine.set(leaf, versions)
    return this.compare(leaf)
  }

  addTheirs(leaf: number, versions: LeafVersions['versions']): BlockIndex[] {
    if (this.asked.has(leaf)) this.theirs.set(leaf, versions)
    return this.compare(leaf)
  }

  /** Blocks that differ, once both sides of the leaf are there. */
  private compare(leaf: number): BlockIndex[] {
    const [mine, theirs] = [this.mine.get(leaf), this.theirs.get(leaf)]
    if (mine === undefined || theirs === undefined) return []
    this.mine.delete(leaf)
    this.theirs.delete(leaf)
    this.asked.delete(leaf)
    if (lacksCommitted(mine, theirs, this.commitSeq)) this.behind = true
    return differingBlocks(mine, theirs)
  }
}
