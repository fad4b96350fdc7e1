import { ABSENT_VERSION, type BlockIndex, type BlockVersion, isHigher, type Seq, sameVersion } from '@ashlar/proto'
import type { LeafVersions } from '../machine.ts'

const DIGEST_BYTES = 16
/** Leaves whose versions are requested at once: bounds the memory of comparing an extent. */
export const LEAVES_AT_ONCE = 16
/** Bytes of one load of an extent's blocks: one iterator reads a run, and it fits in little memory. */
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
 * True when the other side has a newer version of a block, by a write that it knows to be committed: this side had it
 * and lost it (A2.8-4). A newer version above `commitSeq` is a tail that was never acknowledged.
 */
function lacksCommitted(mine: LeafVersions['versions'], theirs: LeafVersions['versions'], commitSeq: Seq): boolean {
  const known = new Map<BlockIndex, BlockVersion>(mine.map((version) => [version.block, version]))
  return theirs.some((version) => {
    const here = known.get(version.block) ?? ABSENT_VERSION
    return isHigher(version, here) && version.seq <= commitSeq
  })
}

/** What both sides have under one leaf. */
export interface LeafPair {
  readonly mine: LeafVersions['versions']
  readonly theirs: LeafVersions['versions']
}

/**
 * Versions of leaves as they arrive from both sides, a few leaves at a time, so that comparing an extent of any size
 * takes little memory.
 */
export class LeafPairs {
  private waiting: number[]
  private readonly asked = new Set<number>()
  private readonly mine = new Map<number, LeafVersions['versions']>()
  private readonly theirs = new Map<number, LeafVersions['versions']>()

  constructor(leaves: readonly number[]) {
    this.waiting = [...leaves]
  }

  /** Nothing is left to request or to compare. */
  get done(): boolean {
    return this.waiting.length === 0 && !this.pending
  }

  /** Requested leaves that have not arrived from both sides. */
  get pending(): boolean {
    return this.asked.size > 0
  }

  /** The next leaves to request from both sides; empty while earlier ones are pending. */
  next(most: number): number[] {
    if (this.pending) return []
    const leaves = this.waiting.slice(0, most)
    this.waiting = this.waiting.slice(most)
    for (const leaf of leaves) this.asked.add(leaf)
    return leaves
  }

  /** Both sides of the leaf, returned once, when both have arrived. */
  addMine(leaf: number, versions: LeafVersions['versions']): LeafPair | undefined {
    this.mine.set(leaf, versions)
    return this.take(leaf)
  }

  /** The same for the other side. A leaf that was not requested is ignored. */
  addTheirs(leaf: number, versions: LeafVersions['versions']): LeafPair | undefined {
    if (this.asked.has(leaf)) this.theirs.set(leaf, versions)
    return this.take(leaf)
  }

  private take(leaf: number): LeafPair | undefined {
    const [mine, theirs] = [this.mine.get(leaf), this.theirs.get(leaf)]
    if (mine === undefined || theirs === undefined) return undefined
    this.mine.delete(leaf)
    this.theirs.delete(leaf)
    this.asked.delete(leaf)
    return { mine, theirs }
  }
}

/** Compares what a primary has with what a replica has, as the leaves of both arrive. */
export class LeafComparison {
  private readonly pairs: LeafPairs
  private readonly commitSeq: Seq
  /** The other side proves that this one lost a committed write. */
  behind = false

  /** `commitSeq`: what the other side knows to be committed. */
  constructor(leaves: readonly number[], commitSeq: Seq) {
    this.pairs = new LeafPairs(leaves)
    this.commitSeq = commitSeq
  }

  get done(): boolean {
    return this.pairs.done
  }

  /** As LeafPairs.next. */
  next(most: number): number[] {
    return this.pairs.next(most)
  }

  addMine(leaf: number, versions: LeafVersions['versions']): BlockIndex[] {
    return this.compare(this.pairs.addMine(leaf, versions))
  }

  addTheirs(leaf: number, versions: LeafVersions['versions']): BlockIndex[] {
    return this.compare(this.pairs.addTheirs(leaf, versions))
  }

  /** Blocks that differ, once both sides of the leaf have arrived. */
  private compare(pair: LeafPair | undefined): BlockIndex[] {
    if (pair === undefined) return []
    if (lacksCommitted(pair.mine, pair.theirs, this.commitSeq)) this.behind = true
    return differingBlocks(pair.mine, pair.theirs)
  }
}
