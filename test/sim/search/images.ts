import { applyCommand, type Effect, type LogEntry, MapState } from '@ashlar/node/core'
import type { ExtentRecord, PrimaryRef } from '@ashlar/proto'
import { ReplicaImage } from '../world/replica-image.ts'
import { Numbers, plainText } from './fingerprint.ts'

/** A change of what a disk holds: of the replica, or of the control log. */
export type DiskWrite = Extract<Effect, { type: 'commit' | 'create-replica' | 'log-append' }>

/** What one disk holds: one replica at most, and the control log. */
export interface DiskImage {
  readonly replica: ReplicaImage | undefined
  readonly log: readonly LogEntry[]
}

/** Contents of disks as numbers, and what each becomes by a write. */
export class Images {
  readonly writes = new Numbers<DiskWrite>()
  private readonly images: DiskImage[] = []
  private readonly byText = new Map<string, number>()
  private readonly after: Map<number, number>[] = []

  add(image: DiskImage): number {
    const text = textOf(image)
    let number = this.byText.get(text)
    if (number === undefined) {
      number = this.images.length
      this.byText.set(text, number)
      this.images.push(image)
      this.after.push(new Map())
    }
    return number
  }

  get(image: number): DiskImage {
    return this.images[image] as DiskImage
  }

  get size(): number {
    return this.images.length
  }

  write(image: number, write: number): number {
    const after = this.after[image] as Map<number, number>
    let number = after.get(write)
    if (number === undefined) {
      number = this.add(written(this.get(image), this.writes.value(write)))
      after.set(write, number)
    }
    return number
  }
}

function written({ replica, log }: DiskImage, write: DiskWrite): DiskImage {
  if (write.type === 'log-append') return { replica, log: [...log, write.entry] }
  if (write.type === 'create-replica') {
    const { blockSizeBytes, lengthBytes, volumeName } = write
    return { replica: replica ?? new ReplicaImage({ blockSizeBytes, lengthBytes, volumeName }), log }
  }
  if (replica === undefined) throw new Error('a change of a replica that the store does not have')
  const changed = replica.clone()
  changed.apply(write.change)
  return { replica: changed, log }
}

function textOf({ replica, log }: DiskImage): string {
  const blocks = replica?.blocks().map(({ block, version }) => [block, version])
  return plainText([replica?.head, blocks, replica?.windows.snapshot(), log])
}

/** What a control log says: the map, and the stores ever named primary in each epoch. */
export interface Truth {
  readonly map: MapState
  readonly record: ExtentRecord | undefined
  readonly named: ReadonlyMap<number, PrimaryRef>
}

/** What is true of control: every entry of its log that is on stable storage. */
export class Truths {
  private readonly known = new WeakMap<readonly LogEntry[], Truth>()

  of(log: readonly LogEntry[]): Truth {
    let truth = this.known.get(log)
    if (truth === undefined) {
      const map = new MapState()
      const named = new Map<number, PrimaryRef>()
      for (const { command } of log) {
        applyCommand(map, command)
        const record = recordOf(map)
        if (record !== undefined) named.set(record.epoch, record.primary)
      }
      truth = { map, record: recordOf(map), named }
      this.known.set(log, truth)
    }
    return truth
  }
}

/** The one extent of a search. */
function recordOf(map: MapState): ExtentRecord | undefined {
  const [record] = map.extents.values()
  return record
}
