import type { Epoch, Open, Seq, StoreId } from '@ashlar/proto'
import type { Link } from '../machine.ts'
import type { DedupeWindows } from './dedupe.ts'
import type { StagedPushes } from './staged-pushes.ts'

/**
 * One inbound stream, bound to one connection:
 *
 *   opening ──promised durable──> open ──MARK──> live
 *      └────────────── any gap, newer OPEN, closed link ──────────────> over
 */
export interface InboundStream {
  readonly link: Link
  readonly epoch: Epoch
  readonly gen: number
  readonly primary: StoreId
  phase: 'opening' | 'open' | 'live'
  /** What is durable: acknowledged by the next ACK. */
  ackedSeq: Seq
  ackedPush: number
  marked: boolean
  ackDue: boolean
  /** What the primary had applied when it found a difference; undefined before, when there is nothing to roll back. */
  applied: DedupeWindows | undefined
  /**
   * Copied blocks that wait for the MARK; undefined where each block is applied at once, since this replica does not
   * count.
   */
  staged: StagedPushes | undefined
}

/** The stream that an OPEN requests, before any message on it. */
export function inboundStream(link: Link, open: Open, staged: StagedPushes | undefined): InboundStream {
  return {
    ...{ link, epoch: open.epoch, gen: open.gen, primary: open.primaryStore, phase: 'opening' },
    ...{ ackedSeq: 0 as Seq, ackedPush: 0, marked: false, ackDue: false, applied: undefined, staged },
  }
}
