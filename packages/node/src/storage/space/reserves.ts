import { AshlarError, type Bytes, GIB, isAtLeast, MIB, type StoreSpace } from '@ashlar/proto'
import type { LevelDbOptions } from '../leveldb/options.ts'

/** Space that is kept free: bytes plus a percentage of the disk. */
export interface Reserve {
  readonly bytes: Bytes
  readonly percent: number
}

/** Reserves given by an operator; the others follow from them and from the disk. */
export interface ReserveOptions {
  readonly placement?: Reserve | undefined
  readonly writes?: Reserve | undefined
  readonly last?: Reserve | undefined
}

/**
 * Free bytes below which a store takes less (A2.19-1): no new extents below `placement`, no new blocks of clients
 * below `writes`, nothing that needs space below `last`. What lies between the first two is space for replicas that move and
 * catch up, what lies between the last two for replicas that come back.
 */
export interface Reserves {
  readonly placement: Bytes
  readonly writes: Bytes
  readonly last: Bytes
}

/**
 * What LevelDB takes for a moment: a compaction writes all of its output before it deletes its input. At level 0 that may be all
 * twelve tables of one write buffer each at which writers are stopped, and what they overlap at level 1. Half of that was
 * seen to end a store: a trim of most of a small disk freed no space before it compacted. On tiny disks it is bounded,
 * or nothing would be left to use.
 */
const WRITE_BUFFERS = 12
const LEVEL_BYTES = 16 * MIB
const TINY_DISK_SHARE = 1 / 6
/** For deeper compactions and for writes in progress; beyond a bound a larger disk does not need more. */
const SHARES = {
  placement: { percent: 10, most: 2 * GIB },
  writes: { percent: 5, most: GIB },
  last: { percent: 2, most: 512 * MIB },
} as const

/**
 * The reserves of a store on a disk of this size. Throws USAGE when those that were given contradict each other on it.
 */
export function reservesOf(given: ReserveOptions, engine: LevelDbOptions, totalBytes: Bytes): Reserves {
  const chosen = (key: keyof Reserves) => {
    const reserve = given[key]
    return reserve === undefined ? undefined : Math.floor(reserve.bytes + (totalBytes * reserve.percent) / 100)
  }
  const compaction = Math.min(WRITE_BUFFERS * engine.writeBufferBytes + LEVEL_BYTES, totalBytes * TINY_DISK_SHARE)
  const normal = (key: keyof Reserves) =>
    Math.floor(compaction + Math.min(SHARES[key].most, (totalBytes * SHARES[key].percent) / 100))
  const writes = chosen('writes')
  if (writes === undefined)
    return inOrder(
      chosen('placement') ?? normal('placement'),
      normal('writes'),
      chosen('last') ?? normal('last'),
      totalBytes,
    )
  const last = chosen('last') ?? Math.min(normal('last'), Math.floor(writes / 2))
  return inOrder(chosen('placement') ?? Math.max(normal('placement'), 2 * writes), writes, last, totalBytes)
}

function inOrder(placement: Bytes, writes: Bytes, last: Bytes, totalBytes: Bytes): Reserves {
  if (last > writes) refuse('--last-reserve', last, '--write-reserve', writes, totalBytes)
  if (writes > placement) refuse('--write-reserve', writes, '--placement-reserve', placement, totalBytes)
  return { placement, writes, last }
}

function refuse(smaller: string, bytes: Bytes, larger: string, most: Bytes, totalBytes: Bytes): never {
  throw new AshlarError(
    'USAGE',
    `${smaller} is ${bytes} bytes on this disk of ${totalBytes}, which is more than ${larger} with ${most}`,
    {
      hint: 'The placement reserve is the largest, then the write reserve, then the last reserve: leave one out, or set it by that.',
    },
  )
}

/** A store leaves a state only once it has an eighth more than the reserve that put it there, so that it does not flap. */
const LEAVING = 9 / 8

/** The space state for so many free bytes, after state `before`. */
export function spaceOf(before: StoreSpace, freeBytes: Bytes, reserves: Reserves): StoreSpace {
  const now = measure(freeBytes, reserves)
  if (isAtLeast(now, before)) return now
  const left = measure(freeBytes / LEAVING, reserves)
  return isAtLeast(left, before) ? before : left
}

function measure(freeBytes: Bytes, { placement, writes, last }: Reserves): StoreSpace {
  if (freeBytes < last) return 'full'
  if (freeBytes < writes) return 'tight'
  return freeBytes < placement ? 'filling' : 'free'
}

/** Free bytes from which on a store is in a better state than this one. */
export function leavesAt(space: Exclude<StoreSpace, 'free'>, reserves: Reserves): Bytes {
  const key = { filling: 'placement', tight: 'writes', full: 'last' } as const
  return Math.ceil(reserves[key[space]] * LEAVING)
}
