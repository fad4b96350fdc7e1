import { BLOCK_ABSENT, type BlockIndex, type Bytes, type ExtentId } from '@ashlar/proto'
import { type LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { LoadedBlock } from '../../core/machine.ts'
import type { CommitQueue } from '../commit/commit-queue.ts'
import type { StorageDriver } from '../driver.ts'
import { type LeafCache, scanLeaves } from '../replicas/leaf-cache.ts'
import type { LocalReplica } from '../replicas/local-replica.ts'
import { putScrubProgress, readScrubProgress, type ScrubProgress } from '../repositories/scrub-repository.ts'

/** What a store lets a scrub do. */
export interface ScrubSourceOptions {
  readonly driver: StorageDriver
  readonly queue: CommitQueue
  readonly leaves: LeafCache
  readonly replicas: ReadonlyMap<ExtentId, LocalReplica>
  /** Runs work that reads: a failed read fails the store, whose `close` waits for it. */
  readonly run: (work: () => Promise<void>) => void
  /** Reads and verifies blocks in the state of the call; remembers on disk which are damaged. */
  readonly load: (replica: LocalReplica, blocks: readonly BlockIndex[]) => Promise<readonly LoadedBlock[]>
  /** Blocks whose bytes are missing or wrong, and whose version is known: another store has them. */
  readonly onDamaged: (extent: ExtentId, blocks: readonly LoadedBlock[]) => void
  /** Versions of a replica were lost, and this is what is on disk, or bytes without one: only a comparison restores them. */
  readonly onLost: (replica: LocalReplica, found: LeafTable | { readonly bareBlock: BlockIndex }) => void
}

/** `changing`: a write to these blocks is in progress; check again later. */
export type VersionCheck = 'as-kept' | 'changing' | 'lost'

export interface BlockCheck {
  /** Requested blocks that have a version, and bytes of data that were read. */
  readonly blocks: number
  readonly bytes: Bytes
  readonly damagedBlocks: number
}

/** The reading side of a scrub: versions against their digests, bytes against the checksums of their versions. */
export class ScrubSource {
  readonly #options: ScrubSourceOptions

  constructor(options: ScrubSourceOptions) {
    this.#options = options
  }

  /** Replicas that the store holds now, in the order of a pass. */
  extents(): { extent: ExtentId; blocks: number; blockSizeBytes: Bytes }[] {
    return [...this.#options.replicas.values()]
      .map(({ extent, blocks, blockSizeBytes }) => ({ extent, blocks, blockSizeBytes }))
      .sort((a, b) => a.extent - b.extent)
  }

  /** True when no block of the leaf was ever written, or the replica was dropped: there is nothing to read. */
  isEmpty(extent: ExtentId, block: BlockIndex): boolean {
    return this.#options.replicas.get(extent)?.digests.isEmpty(leafOf(block)) ?? true
  }

  /**
   * Compares the versions of a leaf on disk with the digest kept for them. They can be compared only while no change of
   * them is in progress, neither when the reading begins nor when it ends.
   */
  async checkVersions(extent: ExtentId, leaf: number): Promise<VersionCheck> {
    const { replicas, leaves, driver, onLost } = this.#options
    const replica = replicas.get(extent)
    if (replica === undefined) return 'as-kept'
    if (leaves.isChanging(replica, leaf)) return 'changing'
    const before = replica.digests.leafDigest(leaf)
    const [table] = await this.#reading(() => scanLeaves(driver, replica, leaf, 1))
    const sameNow = replica.digests.leafDigest(leaf).every((lane, at) => lane === before[at])
    if (table === undefined || leaves.isChanging(replica, leaf) || !sameNow) return 'changing'
    if (replicas.get(extent) !== replica || replica.digests.matches(table)) return 'as-kept'
    onLost(replica, table)
    return 'lost'
  }

  /** Reads and verifies `count` blocks from `first` on; hands damaged ones over to be repaired. */
  async checkBlocks(extent: ExtentId, first: BlockIndex, count: number): Promise<BlockCheck> {
    const { replicas, load, onDamaged, onLost } = this.#options
    const replica = replicas.get(extent)
    if (replica === undefined) return NOTHING_READ
    const wanted = Array.from({ length: Math.min(count, replica.blocks - first) }, (_, at) => first + at)
    const loaded = await this.#reading(() => load(replica, wanted))
    if (replicas.get(extent) !== replica) return NOTHING_READ
    const damaged = loaded.filter((block) => block.damaged)
    const withVersion = damaged.filter(({ version }) => version.kind !== BLOCK_ABSENT)
    if (withVersion.length > 0) onDamaged(extent, withVersion)
    const [bare] = damaged.filter(({ version }) => version.kind === BLOCK_ABSENT)
    if (bare !== undefined) onLost(replica, { bareBlock: bare.block })
    return {
      blocks: loaded.filter(({ version, damaged }) => damaged || version.kind !== BLOCK_ABSENT).length,
      bytes: loaded.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0),
      damagedBlocks: damaged.length,
    }
  }

  readProgress(): Promise<ScrubProgress> {
    return this.#reading(() => readScrubProgress(this.#options.driver))
  }

  /** Written with the next batch; a crash before that costs only reading again. */
  saveProgress(progress: ScrubProgress): void {
    this.#options.queue.push({
      bytes: PROGRESS_BYTES,
      ready: () => true,
      build: (batch) => batch.operations.push(putScrubProgress(progress)),
      done: () => undefined,
    })
  }

  /** Never settles when the store fails meanwhile: its reads must not be used. */
  #reading<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#options.run(async () => resolve(await work()))
    })
  }
}

const NOTHING_READ: BlockCheck = { blocks: 0, bytes: 0, damagedBlocks: 0 }
/** Bytes of a progress with its key, about. */
const PROGRESS_BYTES = 512
