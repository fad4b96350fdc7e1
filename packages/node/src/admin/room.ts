import { type Bytes, isAtLeast, MIB, type StoreId } from '@ashlar/proto'
import type { SpaceView } from '../storage/index.ts'
import { nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse, SpaceResponse } from './schemas.ts'

/** What people are told of the room on disks (amendment 17). */

export function spaceResponse({ space, freeBytes, since, reserves }: SpaceView): SpaceResponse {
  return { space, freeBytes, since: new Date(since).toISOString(), reserves: { ...reserves } }
}

/** What a store said of its room; null when it could not be asked. */
export function roomOf(locals: PeerResponses<LocalResponse>, store: StoreId): SpaceResponse | null {
  const answer = locals.get(store)
  return answer?.answered === true ? answer.value.room : null
}

/** One line for each of these stores that refuses writes for want of room. */
export function lowOnSpace(view: NodeView, locals: PeerResponses<LocalResponse>, stores: Iterable<StoreId>): string[] {
  return [...new Set(stores)].flatMap((store) => {
    const room = roomOf(locals, store)
    if (room === null || !isAtLeast(room.space, 'tight')) return []
    return [`${nodeName(view.map, store)} ${describeSpace(room)}`]
  })
}

/** The end of a sentence that begins with a node's name. */
export function describeSpace({ space, freeBytes, since, reserves }: SpaceResponse): string {
  const free = `${mebibytes(freeBytes)} of its disk are free`
  switch (space) {
    case 'free':
      return `has room: ${free}`
    case 'filling':
      return `has been filling since ${since}: ${free}, less than the ${mebibytes(reserves.placement)} from which on new extents are placed there`
    case 'tight':
      return `has been tight since ${since}: ${free}, less than its write reserve of ${mebibytes(reserves.writes)}, so that writes of new blocks with a replica there are refused (ENOSPC) and no new replica is filled there`
    case 'full':
      return `has been full since ${since}: ${free}, less than its last reserve of ${mebibytes(reserves.last)}, so that all writes with a replica there are refused (ENOSPC) but those that free space, and copying to it waits`
  }
}

/** What a person does about it. */
export function howToFreeSpace(lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  return [
    'trim what guests no longer need (fstrim), remove volumes, or enlarge the disk: writes go on by themselves then',
  ]
}

function mebibytes(bytes: Bytes): string {
  return `${Math.round(bytes / MIB)} MiB`
}
