import { crc32 } from 'node:zlib'
import { BLOCK_ABSENT, BLOCK_DATA, type BlockIndex, type BlockVersion, invariant, sameVersion } from '@ashlar/proto'
import { leafOf } from '../../core/blocks/index.ts'
import type { Head, ReplicaChange } from '../../core/machine.ts'
import type { Batch } from '../commit/batch.ts'
import type { QueueEntry } from '../commit/commit-queue.ts'
import { blockKey } from '../encoding/keyspace.ts'
import type { HeadExtra } from '../repositories/head-repository.ts'
import { type JournalSection, newSection } from '../repositories/journal-repository.ts'
import { encodeVersion } from '../repositories/version-value.ts'
import { applySection, mergeSection } from './apply-section.ts'
import type { CachedLeaf, LeafCache } from './leaf-cache.ts'
import type { LocalReplica, PendingBlock } from './local-replica.ts'

/** Bytes that an entry adds beside those of its blocks: keys, versions, journal. */
const ENTRY_BYTES = 64
const BLOCK_OVERHEAD_BYTES = 128

/** The leaves that an entry needs, held from the hand-over until its batch is on stable storage. */
class PinnedLeaves {
  readonly #cache: LeafCache
  readonly #pinned = new Map<number, CachedLeaf>()

  constructor(cache: LeafCache, replica: LocalReplica, blocks: Iterable<BlockIndex>) {
    this.#cache = cache
    for (const block of blocks) {
      const leaf = leafOf(block)
      if (!this.#pinned.has(leaf)) this.#pinned.set(leaf, cache.pin(replica, leaf))
    }
  }

  get ready(): boolean {
    for (const leaf of this.#pinned.values()) if (leaf.table === undefined) return false
    return true
  }

  get(block: BlockIndex): BlockVersion {
    return this.#table(block).get(block)
  }

  set(block: BlockIndex, version: BlockVersion): BlockVersion {
    return this.#table(block).set(block, version)
  }

  release(): void {
    for (const leaf of this.#pinned.values()) this.#cache.unpin(leaf)
  }

  #table(block: BlockIndex) {
    const table = this.#pinned.get(leafOf(block))?.table
    invariant(table !== undefined, `leaf of block ${block} used before it was loaded`)
    return table
  }
}

/** A `commit`: blocks, head, operation and windows of one replica in one batch. Reads see it from its construction on. */
export class ChangeEntry implements QueueEntry {
  readonly bytes: number
  readonly #replica: LocalReplica
  readonly #change: ReplicaChange
  readonly #leaves: PinnedLeaves
  readonly #pending: { readonly block: BlockIndex; readonly pending: PendingBlock }[] = []
  readonly #onBuilt: (change: ReplicaChange, batch: Batch) => void
  readonly #onDone: () => void

  constructor(
    cache: LeafCache,
    replica: LocalReplica,
    change: ReplicaChange,
    onBuilt: (change: ReplicaChange, batch: Batch) => void,
    onDone: () => void,
  ) {
    this.#replica = replica
    this.#change = change
    this.#onBuilt = onBuilt
    this.#onDone = onDone
    let bytes = ENTRY_BYTES
    for (const { block, version, bytes: content } of change.blocks) {
      replica.assertBlocks(block, 1)
      invariant(
        (content?.length ?? 0) === (version.kind === BLOCK_DATA ? replica.blockSizeBytes : 0),
        `block ${block} of extent ${replica.extent}: ${content?.length ?? 0} bytes of kind ${version.kind}`,
      )
      bytes += BLOCK_OVERHEAD_BYTES + (content?.length ?? 0)
      const pending = { version, bytes: content }
      this.#pending.push({ block, pending })
      replica.pending.set(block, pending)
    }
    this.bytes = bytes
    this.#leaves = new PinnedLeaves(cache, replica, blocksOf(change))
  }

  ready(): boolean {
    return this.#leaves.ready
  }

  build(batch: Batch): void {
    const replica = this.#replica
    const section = newSection(replica.extent)
    for (const { block, version, bytes } of this.#change.blocks) {
      const before = this.#leaves.set(block, version)
      section.blocks.push({ block, before, after: version })
      if (before.kind === BLOCK_DATA) replica.garbageBytes += replica.blockSizeBytes
      const versionKey = blockKey('version', replica.extent, block)
      if (version.kind !== BLOCK_ABSENT) batch.put(versionKey, encodeVersion(version))
      else if (before.kind !== BLOCK_ABSENT) batch.del(versionKey)
      if (bytes !== undefined) batch.put(blockKey('bytes', replica.extent, block), bytes)
      // Bytes without a version are damage, so that those of a damaged block go whatever its version was.
      else if (before.kind === BLOCK_DATA || replica.damaged.has(block)) {
        batch.del(blockKey('bytes', replica.extent, block))
      }
      if (replica.damaged.delete(block)) batch.del(blockKey('damaged', replica.extent, block))
      replica.unproven.delete(block)
      batch.blocks++
      batch.bytes += bytes?.length ?? 0
    }
    fillHead(section, this.#change, replica.head)
    applySection(replica, section)
    mergeSection(batch.section(replica.extent), section)
    this.#onBuilt(this.#change, batch)
  }

  done(): void {
    for (const { block, pending } of this.#pending) this.#replica.settle(block, pending)
    this.#leaves.release()
    this.#onDone()
  }
}

function* blocksOf(change: ReplicaChange): Generator<BlockIndex> {
  for (const { block } of change.blocks) yield block
}

function fillHead(section: JournalSection, change: ReplicaChange, head: Head): void {
  const { lastEpoch, lastSeq, commitSeq, promised, led, generation } = change.head
  if (lastEpoch !== undefined || lastSeq !== undefined) {
    section.last = { epoch: lastEpoch ?? head.lastEpoch, seq: lastSeq ?? head.lastSeq }
  }
  section.commitSeq = commitSeq
  if (change.operation !== undefined) section.operations.push(change.operation)
  invariant(promised === undefined || promised >= head.promised, 'a promised epoch never goes back')
  const extra: HeadExtra = {
    ...(promised === undefined ? {} : { promised }),
    ...(led === undefined ? {} : { led }),
    ...(generation === undefined ? {} : { generation }),
    ...('record' in change.head ? { record: change.head.record ?? null } : {}),
    ...(change.windows === undefined ? {} : { windows: change.windows }),
  }
  if (Object.keys(extra).length > 0) section.extra = extra
}

/** A `repair`: writes the bytes of a damaged block if its version is still the one that they belong to. */
export class RepairEntry implements QueueEntry {
  readonly bytes: number
  readonly #replica: LocalReplica
  readonly #block: BlockIndex
  readonly #version: BlockVersion
  readonly #content: Uint8Array
  readonly #leaves: PinnedLeaves
  readonly #onDone: (repaired: boolean) => void
  #repaired = false

  constructor(
    cache: LeafCache,
    replica: LocalReplica,
    repair: { readonly block: BlockIndex; readonly version: BlockVersion; readonly bytes: Uint8Array },
    onDone: (repaired: boolean) => void,
  ) {
    replica.assertBlocks(repair.block, 1)
    this.#replica = replica
    this.#block = repair.block
    this.#version = repair.version
    this.#content = repair.bytes
    this.#onDone = onDone
    this.bytes = ENTRY_BYTES + BLOCK_OVERHEAD_BYTES + repair.bytes.length
    this.#leaves = new PinnedLeaves(cache, replica, [repair.block])
    replica.repairs++
  }

  ready(): boolean {
    return this.#leaves.ready
  }

  build(batch: Batch): void {
    const { extent, damaged, unproven, blockSizeBytes } = this.#replica
    const version = this.#version
    if (version.kind !== BLOCK_DATA || this.#content.length !== blockSizeBytes) return
    if (!sameVersion(this.#leaves.get(this.#block), version) || crc32(this.#content) !== version.checksum) return
    this.#repaired = true
    batch.put(blockKey('bytes', extent, this.#block), this.#content)
    if (damaged.delete(this.#block)) batch.del(blockKey('damaged', extent, this.#block))
    unproven.delete(this.#block)
    batch.blocks++
    batch.bytes += this.#content.length
  }

  done(): void {
    this.#leaves.release()
    this.#onDone(this.#repaired)
  }
}

/** Remembers that a block was found damaged, unless it was overwritten or repaired since. */
export class DamageEntry implements QueueEntry {
  readonly bytes = ENTRY_BYTES
  readonly #replica: LocalReplica
  readonly #block: BlockIndex
  readonly #version: BlockVersion
  readonly #repairs: number
  readonly #leaves: PinnedLeaves

  /** `repairs` as it was when the read began that found the damage, `version` what it was checked against. */
  constructor(cache: LeafCache, replica: LocalReplica, block: BlockIndex, version: BlockVersion, repairs: number) {
    this.#replica = replica
    this.#block = block
    this.#version = version
    this.#repairs = repairs
    this.#leaves = new PinnedLeaves(cache, replica, [block])
  }

  ready(): boolean {
    return this.#leaves.ready
  }

  build(batch: Batch): void {
    const { extent, damaged, repairs } = this.#replica
    if (damaged.has(this.#block) || repairs !== this.#repairs) return
    if (!sameVersion(this.#leaves.get(this.#block), this.#version)) return
    damaged.add(this.#block)
    batch.put(blockKey('damaged', extent, this.#block), NO_BYTES)
  }

  done(): void {
    this.#leaves.release()
  }
}

const NO_BYTES = new Uint8Array(0)
