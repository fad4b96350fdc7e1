import type { Input, LoadedBlock } from '@ashlar/node/core'
import { type BlockIndex, type ExtentId, LIMITS } from '@ashlar/proto'
import { ExtentDigests } from '../../../packages/node/src/core/blocks/index.ts'
import type { ReplicaImage } from './replica-image.ts'

const DIGEST_BYTES = 16

/**
 * Leaves of one disk whose versions do not match the digest that is kept for them: a flipped bit in a table hides versions, so
 * that older ones are there in their place, or none. An opening finds it when it reads the leaf, and the next opening finds
 * it again unless the replica was compared meanwhile.
 */
export class LostVersions {
  /** The digests that were kept, by extent and leaf. */
  private readonly kept = new Map<ExtentId, Map<number, Uint8Array>>()
  /** Leaves of those that the present opening has read. */
  private readonly found = new Map<ExtentId, Set<number>>()

  /** No leaf of any replica, found or not. */
  get none(): boolean {
    return this.kept.size === 0
  }

  has(extent: ExtentId): boolean {
    return this.kept.has(extent)
  }

  /** The leaves in which `left` is what is left of `whole`. False: there is none. */
  add(extent: ExtentId, whole: ReplicaImage, left: ReplicaImage): boolean {
    const [kept, now] = [whole, left].map(({ versions }) => versions.digests.leafBytes()) as [Uint8Array, Uint8Array]
    const leaves = new Map<number, Uint8Array>()
    for (let at = 0; at < kept.length; at += DIGEST_BYTES) {
      const digest = kept.subarray(at, at + DIGEST_BYTES)
      if (Buffer.compare(digest, now.subarray(at, at + DIGEST_BYTES)) !== 0) leaves.set(at / DIGEST_BYTES, digest)
    }
    if (leaves.size > 0) this.kept.set(extent, leaves)
    return leaves.size > 0
  }

  /** A process opens the disk: it has read nothing. */
  open(): void {
    this.found.clear()
  }

  /** Leaves among these, or among all, that the opening reads for the first time and that do not match. */
  find(extent: ExtentId, leaves?: Iterable<number>): number[] {
    const kept = this.kept.get(extent)
    if (kept === undefined) return []
    const found = this.found.get(extent) ?? new Set<number>()
    this.found.set(extent, found)
    const first = [...new Set(leaves ?? kept.keys())].filter((leaf) => kept.has(leaf) && !found.has(leaf))
    for (const leaf of first) found.add(leaf)
    return first
  }

  /** The digests as the opening has them: those that were kept, for leaves that it has not read. */
  digestsOf(extent: ExtentId, { versions, shape }: ReplicaImage): { root: Uint8Array; leaves: Uint8Array } {
    const leaves = versions.digests.leafBytes()
    for (const [leaf, digest] of this.kept.get(extent) ?? [])
      if (this.found.get(extent)?.has(leaf) !== true) leaves.set(digest, leaf * DIGEST_BYTES)
    const digests = new ExtentDigests(shape.lengthBytes / shape.blockSizeBytes)
    digests.load(0, leaves)
    return { root: digests.rootBytes(), leaves }
  }

  /** The replica was compared by the digests of the opening: what it had found is restored. */
  compared(extent: ExtentId): void {
    const kept = this.kept.get(extent)
    for (const leaf of this.found.get(extent) ?? []) kept?.delete(leaf)
    if (kept?.size === 0) this.delete(extent)
  }

  /** The replica was dropped. */
  delete(extent: ExtentId): void {
    this.kept.delete(extent)
    this.found.delete(extent)
  }

  /** The disk was put back to another state. */
  clear(): void {
    this.kept.clear()
    this.found.clear()
  }
}

/** What one opening of a disk knows of its lost versions, and what it reports to its machine. */
export class FoundLosses {
  /** It was opened as suspect and is not cleared since. */
  isSuspect: boolean
  private readonly disk: { readonly lost: LostVersions; readonly suspicion: Set<ExtentId> }
  private readonly report: (input: Input) => void
  private readonly unproven = new Map<ExtentId, Set<BlockIndex>>()
  /** Extents of which versions were found lost since their digests were read: a MARK does not clear them (A2.17-5). */
  private readonly uncompared = new Set<ExtentId>()

  constructor(disk: FoundLosses['disk'], report: (input: Input) => void) {
    this.disk = disk
    this.report = report
    this.isSuspect = disk.suspicion.size > 0
    disk.lost.open()
  }

  /** These leaves are read, or all. True: versions of some are lost, and the opening did not know. */
  read(extent: ExtentId, leaves?: readonly number[]): boolean {
    const { lost, suspicion } = this.disk
    const [first, ...others] = lost.find(extent, leaves)
    if (first === undefined) return false
    const blocks = this.unproven.get(extent) ?? new Set()
    for (const leaf of suspicion.has(extent) ? [] : [first, ...others])
      for (let at = 0; at < LIMITS.leafBlocks; at++) blocks.add(leaf * LIMITS.leafBlocks + at)
    this.unproven.set(extent, blocks)
    suspicion.add(extent)
    this.uncompared.add(extent)
    const reason = `versions of leaf ${first} of extent ${extent} do not match their digest`
    this.report(this.isSuspect ? { type: 'versions-lost', extent, reason } : { type: 'store-suspect', reason, extent })
    return true
  }

  readBlocks(extent: ExtentId, blocks: readonly BlockIndex[]): void {
    if (this.disk.lost.has(extent)) this.read(extent, blocks.map(leafOf))
  }

  /** Blocks are written: their versions are known from here on. */
  wrote(extent: ExtentId, blocks: readonly BlockIndex[]): void {
    this.readBlocks(extent, blocks)
    for (const block of blocks) this.unproven.get(extent)?.delete(block)
  }

  digestsRead(extent: ExtentId): void {
    this.uncompared.delete(extent)
  }

  /** A MARK that is handed over now clears the replica. */
  clears(extent: ExtentId): boolean {
    if (this.uncompared.has(extent)) return false
    this.unproven.delete(extent)
    return true
  }

  /** What a reader gets of it (A2.17-6). */
  asRead(extent: ExtentId, loaded: LoadedBlock): LoadedBlock {
    const { block, version } = loaded
    if (this.unproven.get(extent)?.has(block) !== true) return loaded
    return { block, version, damaged: true, unproven: true }
  }
}

function leafOf(block: BlockIndex): number {
  return Math.floor(block / LIMITS.leafBlocks)
}
