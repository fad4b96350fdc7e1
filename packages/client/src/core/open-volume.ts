import type { AttachMode, ExtentId, Millis, VolumeRecord } from '@ashlar/proto'
import { CallQueue } from './call-queue.ts'
import { DiscardWindow } from './discard-window.ts'
import type { IoCall } from './io-call.ts'
import type { CallToken, ClientFailure, VolumeHandle } from './machine.ts'
import { RangeLocks } from './range-lock.ts'
import type { PieceRequest } from './request.ts'
import type { Session } from './session.ts'

/** A flush waits for every mutation with a lower order. */
export interface FlushCall {
  readonly token: CallToken
  readonly order: number
  readonly deadline: Millis
}

/** One open volume of one client: its session, its calls, its locks. */
export interface OpenVolume {
  readonly handle: VolumeHandle
  readonly mode: AttachMode
  /** Absent for a read-only volume. */
  readonly session: Session | undefined
  /** As the map has it now. */
  record: VolumeRecord
  state: 'open' | 'closing' | 'ended'
  /** What calls fail with once the volume ended. */
  ended: ClientFailure | undefined
  closing: { readonly token: CallToken; readonly limit: Millis; detaching: boolean } | undefined
  nextOrder: number
  /** When its session says next that it is there, if it does. */
  renewAt: Millis
  /** Calls with pieces to cut, in each extent first come, first served. */
  readonly queue: CallQueue
  readonly discardWindow: DiscardWindow
  /** Calls that are not settled. */
  readonly calls: Set<IoCall>
  /** Those of `calls` that change the volume, in order. */
  readonly mutations: Set<IoCall>
  readonly flushes: Set<FlushCall>
  readonly locks: RangeLocks<PieceRequest>
  /** Extents that requests went to: links to their primaries are kept. */
  readonly touched: Set<ExtentId>
  /** Extents with a `waiting` event out. */
  readonly waiting: Set<ExtentId>
}

export function openVolume(given: Pick<OpenVolume, 'handle' | 'mode' | 'session' | 'record'>): OpenVolume {
  return {
    ...given,
    state: 'open',
    ended: undefined,
    closing: undefined,
    nextOrder: 1,
    renewAt: 0,
    queue: new CallQueue(),
    discardWindow: new DiscardWindow(),
    calls: new Set(),
    mutations: new Set(),
    flushes: new Set(),
    locks: new RangeLocks(),
    touched: new Set(),
    waiting: new Set(),
  }
}
