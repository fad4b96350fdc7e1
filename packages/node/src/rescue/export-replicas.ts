import { AshlarError, type ExtentId, extentIndexOf, type StoreId, volumeOf } from '@ashlar/proto'
import { type RebuiltExtent, type RebuiltMap, rebuildMap } from '../core/control/index.ts'
import { imageBlocks, isInUse, type OfflineStore, openOffline } from '../storage/offline/index.ts'
import { surveyOf } from '../storage/offline/survey.ts'

/** Where an image goes: everything that is not written reads as zeroes. */
export interface ImageTarget {
  /** Called once, before anything is written. */
  resize(sizeBytes: number): Promise<void>
  write(offset: number, bytes: Uint8Array): Promise<void>
}

/** Report on an image made from data directories. */
export interface ReplicaExport {
  readonly volume: string
  /** Up to the last extent that a directory has: nothing records extents behind it. */
  readonly sizeBytes: number
  /** True when every block is proven to be current: nothing below is uncertain, lost or missing. */
  readonly certain: boolean
  readonly stores: readonly {
    readonly directory: string
    /** Null: it could not be read, for the reason in `evidence`. */
    readonly store: StoreId | null
    readonly replicas: number
    readonly evidence: readonly string[]
  }[]
  readonly extents: {
    readonly certain: number
    readonly uncertain: readonly { readonly extent: number; readonly because: readonly string[] }[]
    /** Extents that no directory has: they are zeroes in the image. */
    readonly missing: readonly number[]
  }
  readonly blocks: {
    readonly written: number
    /** Blocks of which the directories hold one copy only. */
    readonly fromOneStore: number
    /** Blocks of which another directory has a higher version than the one taken. */
    readonly newerElsewhere: number
    /** Blocks without a sound copy of their version: the image has an older version or zeroes. At most `LISTED_BLOCKS` are listed. */
    readonly lost: number
    readonly lostBlocks: readonly { readonly extent: number; readonly block: number; readonly older: boolean }[]
  }
}

const LISTED_BLOCKS = 1000

/**
 * Reads one volume from data directories over which no node runs, and changes none of them. Throws NOT_FOUND when no
 * directory has the volume, USAGE when two are copies of one or belong to different clusters, and what opening throws when
 * none can be opened.
 */
export async function exportReplicas(
  directories: readonly string[],
  volume: string,
  target: ImageTarget,
): Promise<ReplicaExport> {
  const opened: OfflineStore[] = []
  const unreadable: ReplicaExport['stores'][number][] = []
  try {
    for (const directory of directories) {
      try {
        opened.push(await openOffline(directory))
      } catch (error) {
        // A node has it open and would go on writing.
        if (directories.length === 1 || isInUse(error)) throw error
        unreadable.push({ directory, store: null, replicas: 0, evidence: [(error as Error).message] })
      }
    }
    refuseMixed(opened)
    const exporting = new Exporting(opened, rebuildMap(opened.map(surveyOf)), volume)
    await exporting.run(target)
    return exporting.report(unreadable)
  } finally {
    for (const store of opened) await store.close()
  }
}

class Exporting {
  readonly #stores: readonly OfflineStore[]
  readonly #map: RebuiltMap
  readonly #volume: RebuiltMap['volumes'][number]
  readonly #uncertain = new Map<number, string[]>()
  readonly #missing: number[] = []
  readonly #lostBlocks: { extent: number; block: number; older: boolean }[] = []
  #certain = 0
  #written = 0
  #fromOneStore = 0
  #newerElsewhere = 0
  #lost = 0

  constructor(stores: readonly OfflineStore[], map: RebuiltMap, name: string) {
    this.#stores = stores
    this.#map = map
    const found = map.volumes.filter((known) => known.name === name)
    const [volume] = found
    if (volume === undefined) {
      const names = map.volumes.map((known) => known.name)
      const hint = names.length === 0 ? 'they hold no volume' : `they hold ${names.join(', ')}`
      throw new AshlarError('NOT_FOUND', `no volume ${name} in these directories`, { hint })
    }
    if (found.length > 1)
      throw new AshlarError('CONFLICT', `these directories hold ${found.length} volumes named ${name}`)
    this.#volume = volume
  }

  async run(target: ImageTarget): Promise<void> {
    await target.resize(this.#volume.sizeBytes)
    for (const extent of this.#map.extents) {
      const { id } = extent.record
      const index = extentIndexOf(id)
      if (volumeOf(id) !== this.#volume.id) continue
      if (extent.certainty === 'missing') this.#missing.push(index)
      else await this.#extent(extent, index, target)
    }
  }

  async #extent(extent: RebuiltExtent, index: number, target: ImageTarget): Promise<void> {
    const { id } = extent.record
    const holders = this.#stores.filter(({ recovered }) => recovered.replicas.has(id))
    const counted = holders.filter(({ identity }) => extent.counted.includes(identity.store))
    const sound = counted.filter((store) => !store.isSuspect(id))
    const leader = furthest(sound, id)
    const because = this.#uncertainties(extent, holders, counted, leader)
    const { blockSizeBytes, sizeBytes } = this.#volume
    const base = index * this.#volume.extentSizeBytes
    const lengthBytes = Math.min(this.#volume.extentSizeBytes, sizeBytes - base)
    const onMismatch = (store: OfflineStore, leaf: number): void => {
      if (!store.isSuspect(id)) because.push(`versions of leaf ${leaf} in ${store.directory} do not match its digest`)
    }
    const sources = { extent: id, blockCount: Math.ceil(lengthBytes / blockSizeBytes), leader, holders, onMismatch }
    for await (const { block, bytes, copies, newerElsewhere, lost } of imageBlocks(sources)) {
      if (bytes !== undefined) {
        await target.write(base + block * blockSizeBytes, bytes.subarray(0, lengthBytes - block * blockSizeBytes))
        this.#written++
        if (copies === 1) this.#fromOneStore++
      }
      if (newerElsewhere) this.#newerElsewhere++
      if (lost === undefined) continue
      this.#lost++
      if (this.#lostBlocks.length < LISTED_BLOCKS)
        this.#lostBlocks.push({ extent: index, block, older: bytes !== undefined })
    }
    if (because.length === 0) this.#certain++
    else this.#uncertain.set(index, because)
  }

  /** Why the chosen versions may not be the newest acknowledged ones. */
  #uncertainties(
    { record: { id }, absent }: RebuiltExtent,
    holders: readonly OfflineStore[],
    counted: readonly OfflineStore[],
    leader: OfflineStore | undefined,
  ): string[] {
    const because: string[] = []
    if (absent.length > 0)
      because.push(`stores ${absent.join(', ')} may hold newer writes, and their directories were not given`)
    if (leader === undefined) {
      because.push(
        counted.length === 0
          ? 'no in-sync store was given: each block is the highest version that any replica holds'
          : 'every in-sync store may have lost writes: each block is the highest version that any replica holds',
      )
      return because
    }
    const led = leader.recovered.replicas.get(id)?.head
    const ahead = holders.find(
      ({ recovered }) => (recovered.replicas.get(id)?.head.commitSeq ?? 0) > (led?.lastSeq ?? 0),
    )
    if (ahead !== undefined) because.push(`${ahead.directory} has acknowledged writes that ${leader.directory} lacks`)
    return because
  }

  report(unreadable: ReplicaExport['stores']): ReplicaExport {
    const uncertain = [...this.#uncertain].map(([extent, because]) => ({ extent, because }))
    return {
      volume: this.#volume.name,
      sizeBytes: this.#volume.sizeBytes,
      certain: uncertain.length === 0 && this.#missing.length === 0 && this.#lost === 0,
      stores: [
        ...this.#stores.map(({ directory, identity, recovered, evidence }) => ({
          directory,
          store: identity.store,
          evidence,
          replicas: recovered.replicas.size,
        })),
        ...unreadable,
      ],
      extents: { certain: this.#certain, uncertain, missing: this.#missing },
      blocks: {
        written: this.#written,
        fromOneStore: this.#fromOneStore,
        newerElsewhere: this.#newerElsewhere,
        lost: this.#lost,
        lostBlocks: this.#lostBlocks,
      },
    }
  }
}

/** The store with the highest position, chosen like a new primary (A2.8-1): it holds every acknowledged write, and maybe more. */
function furthest(stores: readonly OfflineStore[], extent: ExtentId): OfflineStore | undefined {
  const reached = (store: OfflineStore) => store.recovered.replicas.get(extent)?.head
  return [...stores].sort((a, b) => {
    const [first, second] = [reached(a), reached(b)]
    return (second?.lastEpoch ?? 0) - (first?.lastEpoch ?? 0) || (second?.lastSeq ?? 0) - (first?.lastSeq ?? 0)
  })[0]
}

function refuseMixed(stores: readonly OfflineStore[]): void {
  const [first] = stores
  for (const [at, { identity, directory }] of stores.entries()) {
    const twin = stores.slice(0, at).find((other) => other.identity.store === identity.store)
    if (twin !== undefined)
      throw new AshlarError('USAGE', `${directory} is a copy of ${twin.directory}: name one of them`)
    if (identity.cluster !== first?.identity.cluster) {
      throw new AshlarError('USAGE', `${directory} and ${first?.directory} belong to different clusters`)
    }
  }
}
