import type { Effect, ReplicaChange } from '@ashlar/node/core'
import type { Bytes, ExtentId } from '@ashlar/proto'
import type { Chance } from './chance.ts'
import { ReplicaImage, type ReplicaShape } from './replica-image.ts'

/** What changes the replicas of a store. */
export type Write = Extract<Effect, { type: 'commit' | 'create-replica' | 'drop-replica' | 'repair' }>
type Replicas = Map<ExtentId, ReplicaImage>

/** Replicas as they would be without some batches, and the changes of those. */
interface Left {
  readonly replicas: Replicas
  readonly dropped: readonly ReplicaChange[]
}

/**
 * The synced batches of a store since some moment, so that some of them can be dropped: one flipped bit in a log of LevelDB
 * takes records from the middle of history, and opening goes on without them (finding 4).
 */
export class RecentWrites {
  private readonly before: Replicas
  private readonly batches: (readonly Write[])[] = []
  private sealedAt: number | undefined

  constructor(replicas: Replicas) {
    this.before = cloneOf(replicas)
  }

  add(batch: readonly Write[]): void {
    this.batches.push(batch)
  }

  /** What is added from here on stays. */
  seal(): void {
    this.sealedAt ??= this.batches.length
  }

  /** What is left without some batches in a row, which opening does not miss; nothing when there is no such batch. */
  dropSome(chance: Chance): Left | undefined {
    const end = this.sealedAt ?? this.batches.length
    const may = this.batches.map((batch, place) => {
      return place < end && batch.every(({ type }) => type === 'commit' || type === 'repair')
    })
    const places = [...may.keys()].filter((place) => may[place])
    if (places.length === 0) return undefined
    const first = chance.pick(places)
    const last = first + Math.floor(chance.skewed(0, places.length))
    return this.without((place) => place >= first && place <= last && may[place] === true)
  }

  /** What is left without the last batches, which opening cannot miss. */
  dropTail(chance: Chance): Left | undefined {
    const isFixed = (batch: readonly Write[]) => batch.some(({ type }) => type !== 'commit' && type !== 'repair')
    const first = this.batches.findLastIndex(isFixed) + 1
    if (first >= this.batches.length) return undefined
    const from = this.batches.length - 1 - Math.floor(chance.skewed(0, this.batches.length - first))
    return this.without((place) => place >= from)
  }

  private without(isDropped: (place: number) => boolean): Left {
    const replicas = cloneOf(this.before)
    const dropped: ReplicaChange[] = []
    for (const [place, batch] of this.batches.entries())
      for (const write of batch) {
        if (!isDropped(place)) applyWrite(replicas, write)
        else if (write.type === 'commit') dropped.push(write.change)
      }
    return { replicas, dropped }
  }
}

export function cloneOf(replicas: ReadonlyMap<ExtentId, ReplicaImage>): Replicas {
  return new Map([...replicas].map(([extent, image]) => [extent, image.clone()]))
}

export function applyWrite(replicas: Replicas, write: Write): void {
  switch (write.type) {
    case 'create-replica': {
      const { blockSizeBytes, lengthBytes, volumeName }: ReplicaShape = write
      if (!replicas.has(write.extent)) {
        replicas.set(write.extent, new ReplicaImage({ blockSizeBytes, lengthBytes, volumeName }))
      }
      return
    }
    case 'drop-replica':
      replicas.delete(write.extent)
      return
    case 'commit':
      return imageOf(replicas, write.change.extent).apply(write.change)
    case 'repair':
      return imageOf(replicas, write.extent).repair(write)
  }
}

function imageOf(replicas: ReadonlyMap<ExtentId, ReplicaImage>, extent: ExtentId): ReplicaImage {
  const image = replicas.get(extent)
  if (image === undefined) throw new Error(`a change of extent ${extent}, which the store does not have`)
  return image
}

/** Bytes that a change takes beside those of its blocks, and for each of those. */
const ENTRY_BYTES = 64

export function bytesOf(batch: readonly Write[]): Bytes {
  let bytes = 0
  for (const write of batch) {
    const blocks = write.type === 'commit' ? write.change.blocks : write.type === 'repair' ? [write] : []
    bytes += ENTRY_BYTES
    for (const block of blocks) bytes += ENTRY_BYTES + (block.bytes?.length ?? 0)
  }
  return bytes
}
