import type { Volume } from '@ashlar/client'
import { AshlarError, type ErrorCode } from '@ashlar/proto'
import type { Ending } from '../../kit/history/recorder.ts'

/** A disk as the workload sees it. Every call rejects with DiskFailure. */
export interface Disk {
  read(offset: number, length: number): Promise<Uint8Array>
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** The range reads as zeroes afterwards. */
  discard(offset: number, length: number): Promise<void>
  close(): Promise<void>
}

interface DiskFailureFacts {
  readonly ending: Ending
  readonly reason: string
  readonly explained: boolean
  readonly over: boolean
  readonly cause?: unknown
}

/** A call that failed, with what is known of its effect. */
export class DiskFailure extends Error {
  readonly ending: Ending
  /** Few words, the same for all failures of a kind. */
  readonly reason: string
  /** The faults that are injected explain it: nothing else may fail a call. */
  readonly explained: boolean
  /** The disk must be opened again. */
  readonly over: boolean

  constructor(text: string, facts: DiskFailureFacts) {
    super(text, { cause: facts.cause })
    this.reason = facts.reason
    this.ending = facts.ending
    this.explained = facts.explained
    this.over = facts.over
  }
}

/** What a cluster whose nodes and links fail for a while may answer after the time of a call. */
const EXPLAINED: readonly ErrorCode[] = ['TIMEOUT', 'NO_CONTROL']

/** A volume through the client library. */
export function libraryDisk(volume: Volume, closeClient: () => Promise<void>): Disk {
  return {
    read: (offset, length) => settled(volume.read(offset, length)),
    write: (offset, bytes) => settled(volume.write(offset, bytes)),
    discard: (offset, length) => settled(volume.trim(offset, length)),
    async close() {
      await volume.close()
      await closeClient()
    },
  }
}

async function settled<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (!(error instanceof AshlarError)) throw error
    const { code, details } = error
    throw new DiskFailure(`${code}: ${error.message}`, {
      ending: details['indeterminate'] === false && details['partial'] !== true ? 'never' : 'unknown',
      reason: code,
      explained: EXPLAINED.includes(code),
      over: code === 'FENCED' || code === 'CLOSED',
      cause: error,
    })
  }
}
