import { AshlarError, type Bytes, GIB, isAtLeast, type StoreSpace } from '@ashlar/proto'
import type { LevelDbOptions } from '../leveldb/options.ts'

/** Room that is kept free: so many bytes, and so many hundredths of the disk. */
export interface Reserve {
  readonly bytes: Bytes
  readonly percent: number
}

/** Reserves that a person gave; the others follow from the disk and from those. */
export interface ReserveOptions {
  readonly placement?: Reserve | undefined
  readonly writes?: Reserve | undefined
  readonly last?: Reserve | undefined
}

/**
 * Free bytes below which a store takes less (amendment 17): no new extents below `placement`, no new blocks of clients
 * below `writes`, nothing that needs space below `last`. What lies between the first two is room for replicas that move and
 * catch up, what lies between the last two for replicas that come back.
 */
export interface Reserves {
  readonly placement: Bytes
  readonly writes: Bytes
  readonly last: Bytes
}

/**
 * A compaction of level 0 rewrites four tables of one write buffer each before it deletes them. The share is for deeper
 * compactions and for writes in progress; beyond a bound a larger disk does not need more.
 */
const WRITE_BUFFERS = 4
const SHARES = {
  placement: { percent: 10, most: 8 * GIB },
  writes: { percent: 5, most: 4 * GIB },
  last: { percent: 2, most: 2 * GIB },
} as const

/**
 * The reserves of a store on a disk of this size. Throws USAGE when those that were given contradict each other on it.
 */
export function reservesOf(given: ReserveOptions, engine: LevelDbOptions, totalBytes: Bytes): Reserves {
  const chosen = (key: keyof Reserves) => {
    const reserve = given[key]
    return reserve === undefined ? undefined : Math.floor(reserve.bytes + (totalBytes * reserve.percent) / 100)
  }
  const normal = (key: keyof Reserves) =>
    Math.floor(
      WRITE_BUFFERS * engine.writeBufferBytes + Math.min(SHARES[key].most, (totalBytes * SHARES[key].percent) / 100),
    )
  const writes = chosen('writes') ?? normal('writes')
  const last = chosen('last') ?? Math.min(normal('last'), Math.floor(writes / 2))
  const placement = chosen('placement') ?? Math.max(normal('placement'), 2 * writes)
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

/** How much room a store has with so many bytes free, when it had `before` until now. */
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
