import { BLOCK_DATA, type ExtentId } from '@ashlar/proto'
import { blockKey, blockOfKey, blockRange } from '../../../packages/node/src/storage/encoding/keyspace.ts'
import { type MemoryDisk, MemoryDriver } from '../../../packages/node/src/storage/memory/memory-driver.ts'
import { recover } from '../../../packages/node/src/storage/open/recover.ts'
import { decodeVersion } from '../../../packages/node/src/storage/repositories/version-value.ts'
import type { ReplicaImage } from './replica-image.ts'
import type { Clock } from './time.ts'
import { VirtualTurns } from './virtual-turns.ts'

/** What the shipped store would open, as texts by extent: head and windows, then the version of each block. */
export interface ShippedImage {
  readonly heads: ReadonlyMap<ExtentId, string>
  readonly versions: ReadonlyMap<ExtentId, ReadonlyMap<number, string>>
  /** Blocks with data of which there are no bytes. */
  readonly empty: readonly string[]
}

/** Reads a disk of the shipped store as its next opening will. */
export function readShipped(disk: MemoryDisk, clock: Clock): ShippedImage {
  const image = { heads: new Map<ExtentId, string>(), versions: new Map<ExtentId, Map<number, string>>(), empty: [] }
  if (disk.entries.size === 0) return image
  const recovered = new VirtualTurns(clock).result(() => recover(new MemoryDriver(disk)))
  const empty: string[] = []
  for (const [extent, { head, windows }] of recovered.replicas) {
    image.heads.set(extent, textOf(head, windows.snapshot()))
    const versions = new Map<number, string>()
    const { from, to } = blockRange('version', extent)
    for (const { key, value } of disk.entries.range(from, to)) {
      const version = decodeVersion(value)
      const block = blockOfKey(key)
      versions.set(block, JSON.stringify(version))
      if (version?.kind === BLOCK_DATA && !disk.entries.has(blockKey('bytes', extent, block)))
        empty.push(`block ${block} of extent ${extent} has a version and no bytes`)
    }
    image.versions.set(extent, versions)
  }
  return { ...image, empty }
}

/** What is different in the simulator's own image; undefined when nothing is. */
export function differenceOf(found: ShippedImage, replicas: ReadonlyMap<ExtentId, ReplicaImage>): string | undefined {
  if (found.empty.length > 0) return found.empty[0]
  for (const extent of found.heads.keys()) if (!replicas.has(extent)) return `a replica of extent ${extent}`
  for (const [extent, image] of replicas) {
    const head = textOf(image.head, image.windows.snapshot())
    if (found.heads.get(extent) !== head) return `head of extent ${extent}: ${found.heads.get(extent)}, not ${head}`
    const versions = found.versions.get(extent) ?? new Map<number, string>()
    const blocks = image.blocks()
    if (blocks.length !== versions.size) return `${versions.size} blocks of extent ${extent}, not ${blocks.length}`
    for (const { block, version } of blocks) {
      const known = JSON.stringify({
        epoch: version.epoch,
        seq: version.seq,
        kind: version.kind,
        checksum: version.checksum,
      })
      if (sortedText(versions.get(block)) !== sortedText(known))
        return `block ${block} of extent ${extent}: ${versions.get(block)}, not ${known}`
    }
  }
  return undefined
}

function textOf(head: object, windows: readonly object[]): string {
  return `${sortedText(JSON.stringify(head))} ${windows
    .map((window) => JSON.stringify(window))
    .sort()
    .join()}`
}

/** The same for objects that differ in the order of their members only. */
function sortedText(text: string | undefined): string {
  if (text === undefined) return ''
  return JSON.stringify(JSON.parse(text), (_, value: unknown) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
