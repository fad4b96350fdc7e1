import {
  ABSENT_VERSION,
  BLOCK_ABSENT,
  type BlockIndex,
  type BlockVersion,
  type ExtentId,
  isHigher,
  LIMITS,
  sameVersion,
} from '@ashlar/proto'
import { LeafTable } from '../../core/blocks/index.ts'
import { readLeafBlocks, type StoredBlock } from './leaf-contents.ts'
import type { OfflineStore } from './offline-store.ts'

/** Where the blocks of one extent come from. */
export interface ExtentSources {
  readonly extent: ExtentId
  readonly blockCount: number
  /** The store whose version of every block counts; undefined: the highest version that any of them holds (amendment 11). */
  readonly leader: OfflineStore | undefined
  /** Every store with a replica of the extent, the leader among them. */
  readonly holders: readonly OfflineStore[]
  /** Versions of a leaf of this store do not match its digest: some were lost or damaged. */
  readonly onMismatch: (store: OfflineStore, leaf: number) => void
}

/** One block of an image, with what could not be proven of it. Blocks that read as zeroes have no bytes. */
export interface ImageBlock {
  readonly block: BlockIndex
  readonly bytes: Uint8Array | undefined
  /** Stores among the holders that have this very version. */
  readonly copies: number
  /** Some holder has a higher version: a write that was never acknowledged, or one that the leader lost. */
  readonly newerElsewhere: boolean
  /** No holder has good bytes of the version that counts; `bytes` are those of an older one, if any is good. */
  readonly lost: BlockVersion | undefined
}

/** Reads an extent leaf by leaf; blocks that no holder has are left out. */
export async function* imageBlocks(sources: ExtentSources): AsyncGenerator<ImageBlock> {
  const { extent, blockCount, holders } = sources
  for (let leaf = 0; leaf * LIMITS.leafBlocks < blockCount; leaf++) {
    const held = await Promise.all(holders.map((store) => readLeafBlocks(store.driver, extent, leaf)))
    for (const [at, store] of holders.entries()) checkDigest(sources, store, leaf, held[at] as (typeof held)[number])
    const numbers = new Set(held.flatMap((blocks) => [...blocks.keys()]))
    for (const block of [...numbers].sort((a, b) => a - b)) {
      if (block < blockCount) yield imageBlock(sources, block, held)
    }
  }
}

function checkDigest(
  { extent, onMismatch }: ExtentSources,
  store: OfflineStore,
  leaf: number,
  blocks: ReadonlyMap<BlockIndex, StoredBlock>,
): void {
  const table = new LeafTable(leaf)
  for (const [block, { version }] of blocks) table.set(block, version)
  if (store.recovered.replicas.get(extent)?.digests.matches(table) === false) onMismatch(store, leaf)
}

function imageBlock(
  { leader, holders }: ExtentSources,
  block: BlockIndex,
  held: readonly ReadonlyMap<BlockIndex, StoredBlock>[],
): ImageBlock {
  const copies = held.map((blocks) => blocks.get(block) ?? NOTHING)
  const led = leader === undefined ? undefined : copies[holders.indexOf(leader)]
  // Bytes without a version prove nothing about the block: any known version is better.
  const lostVersion = led?.damaged === true && led.version.kind === BLOCK_ABSENT
  const counts = led === undefined || lostVersion ? highest(copies) : led
  const same = copies.filter(({ version }) => sameVersion(version, counts.version))
  const common = {
    block,
    copies: same.length,
    newerElsewhere: copies.some(({ version }) => isHigher(version, counts.version)),
  }
  const good = same.find(({ damaged }) => !damaged)
  if (good !== undefined) return { ...common, bytes: good.bytes, lost: undefined }
  const older = copies.filter(({ damaged }) => !damaged).filter(({ version }) => isHigher(counts.version, version))
  return { ...common, bytes: older.length === 0 ? undefined : highest(older).bytes, lost: counts.version }
}

const NOTHING: StoredBlock = { version: ABSENT_VERSION, bytes: undefined, damaged: false }

/** The highest version, a good copy of it before a damaged one. */
function highest(copies: readonly StoredBlock[]): StoredBlock {
  return copies.reduce((best, copy) => {
    if (isHigher(copy.version, best.version)) return copy
    return sameVersion(copy.version, best.version) && best.damaged && !copy.damaged ? copy : best
  })
}
