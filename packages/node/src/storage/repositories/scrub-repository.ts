import type { BlockIndex, ExtentId } from '@ashlar/proto'
import type { BatchOperation, StorageDriver } from '../driver.ts'
import { sealed, unsealed } from '../encoding/bytes.ts'
import { SCRUB_KEY } from '../encoding/keyspace.ts'

/** What one pass of the scrub read and found, or has until now. Moments are of the wall clock, in milliseconds. */
export interface ScrubPass {
  readonly startedAtMs: number
  /** Null while it goes on. */
  readonly endedAtMs: number | null
  readonly blocks: number
  readonly bytes: number
  readonly damagedBlocks: number
  /** Leaves whose versions on disk did not match their digest. */
  readonly lostLeaves: number
}

/** Value of `h c`: JSON with a crc32 behind it. */
export interface ScrubProgress {
  /** Set by an operator; kept across restarts. */
  readonly paused: boolean
  /** The pass that goes on, and where it reads next; everything before is read. */
  readonly current: (ScrubPass & { readonly extent: ExtentId; readonly block: BlockIndex }) | null
  /** The last pass that came to its end. */
  readonly last: ScrubPass | null
}

export const NO_PROGRESS: ScrubProgress = { paused: false, current: null, last: null }

export function putScrubProgress(progress: ScrubProgress): BatchOperation {
  return { type: 'put', key: SCRUB_KEY, value: sealed(Buffer.from(JSON.stringify(progress))) }
}

/** Missing or damaged progress counts as none: a scrub from the start costs only time. */
export async function readScrubProgress(driver: StorageDriver): Promise<ScrubProgress> {
  const value = await driver.get(SCRUB_KEY)
  const content = value === undefined ? undefined : unsealed(value)
  return content === undefined ? NO_PROGRESS : (JSON.parse(content.toString()) as ScrubProgress)
}
