import { type Bytes, isAtLeast, MIB, type StoreId } from '@ashlar/proto'
import { nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse, SpaceResponse } from './schemas.ts'
import { quoted } from './todo.ts'

/** How the API and `explain` report free space on disks (amendment 17). */

/** The free space that a store reported; null when it did not respond. */
export function spaceOf(locals: PeerResponses<LocalResponse>, store: StoreId): SpaceResponse | null {
  const answer = locals.get(store)
  return answer?.answered === true ? answer.value.space : null
}

/** One line for each of these stores that refuses writes for lack of space. */
export function lowOnSpace(view: NodeView, locals: PeerResponses<LocalResponse>, stores: Iterable<StoreId>): string[] {
  return [...new Set(stores)].flatMap((store) => {
    const space = spaceOf(locals, store)
    if (space === null || !isAtLeast(space.level, 'tight')) return []
    return [`${nodeName(view.map, store)} ${describeSpace(space)}`]
  })
}

/** Which writes a store refuses, by `health`; undefined where it refuses none. */
export function refusalOf(view: NodeView, locals: PeerResponses<LocalResponse>, store: StoreId): string | undefined {
  const level = spaceOf(locals, store)?.level
  if (level !== 'tight' && level !== 'full') return undefined
  const which = level === 'tight' ? 'writes of new blocks' : 'writes'
  return `${which} are refused (ENOSPC), because ${nodeName(view.map, store)} is ${level}`
}

/** The end of a sentence that begins with a node's name. */
export function describeSpace({ level, freeBytes, since, reserves }: SpaceResponse): string {
  const free = `${mebibytes(freeBytes)} of its disk is free`
  switch (level) {
    case 'free':
      return `has free space: ${free}`
    case 'filling':
      return `has been filling since ${since}: ${free}, less than its placement reserve of ${mebibytes(reserves.placement)}, so no new extents are placed there`
    case 'tight':
      return `has been tight since ${since}: ${free}, less than its write reserve of ${mebibytes(reserves.writes)}, so extents with a replica there refuse writes of new blocks (ENOSPC), and no new replica is filled there`
    case 'full':
      return `has been full since ${since}: ${free}, less than its last reserve of ${mebibytes(reserves.last)}, so extents with a replica there refuse all writes but those that free space (ENOSPC), and copies to it wait`
  }
}

/** What an operator can do about it. */
export function howToFreeSpace(
  view: NodeView,
  locals: PeerResponses<LocalResponse>,
  stores: Iterable<StoreId>,
): string[] {
  return [...new Set(stores)].flatMap((store) => {
    const answer = locals.get(store)
    if (answer?.answered !== true || !isAtLeast(answer.value.space?.level ?? 'free', 'tight')) return []
    return [
      `see how full the disk of ${nodeName(view.map, store)} is: df -h ${quoted(answer.value.dataDir)}`,
      'delete what other programs put on that disk, discard free space in guests (fstrim), remove volumes, or enlarge the disk; writes then resume without a restart',
    ]
  })
}

function mebibytes(bytes: Bytes): string {
  return `${Math.round(bytes / MIB)} MiB`
}
