import type { ExtentId } from '@ashlar/proto'
import type { Disk } from './disk.ts'
import type { LogCopy } from './log-image.ts'
import { cloneOf } from './recent-writes.ts'
import type { ReplicaImage } from './replica-image.ts'

/** A disk at some moment, as an operator keeps it. */
export interface DiskCopy {
  readonly identity: Disk['identity']
  readonly replicas: ReadonlyMap<ExtentId, ReplicaImage>
  readonly suspicion: readonly ExtentId[]
  readonly log: LogCopy
}

/** All of a disk as it is on stable storage. Rot is not copied. */
export function copyOf({ identity, replicas, suspicion, log }: Disk): DiskCopy {
  const copies = cloneOf(replicas)
  for (const image of copies.values()) image.damaged.clear()
  return { identity: { ...identity }, replicas: copies, suspicion: [...suspicion], log: log.copy() }
}

/** Puts the store of a copy back, while no process has it open. It does not know what it lacks. */
export function putStoreBack(disk: Disk, { identity, replicas, suspicion }: DiskCopy): void {
  disk.identity = { ...identity }
  for (const extent of disk.replicas.keys()) disk.incomplete.add(extent)
  disk.replicas.clear()
  for (const [extent, image] of cloneOf(replicas)) {
    disk.replicas.set(extent, image)
    disk.incomplete.add(extent)
  }
  disk.suspicion.clear()
  disk.lost.clear()
  for (const extent of suspicion) disk.suspicion.add(extent)
}
