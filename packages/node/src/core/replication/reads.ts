import { type ErrorCode, LIMITS, type QueryAllocation, type Read, type Seq } from '@ashlar/proto'
import type { Context, Link, LoadedBlock } from '../machine.ts'
import type { Admission } from './admission.ts'
import type { Confirmations } from './confirmations.ts'
import type { OwnDisk } from './own-disk.ts'
import type { PrimaryState } from './primary-state.ts'
import type { Repairs } from './repair.ts'
import type { Window } from './window.ts'

interface Parts {
  readonly state: PrimaryState
  readonly admission: Admission
  readonly window: Pick<Window, 'newestSeq'>
  readonly disk: OwnDisk
  readonly repairs: Pick<Repairs, 'repair'>
  readonly confirmations: Pick<Confirmations, 'confirm' | 'possible'>
}

interface PendingRead {
  readonly link: Link
  readonly message: Read
}

/**
 * Reads at the primary: only committed bytes, only under the lease, which is checked after the bytes were fetched
 * (A2.3-5, A2.6-1). Without a lease the whole ack set has to confirm after that instead (amendment 8).
 */
export class Reads {
  private readonly parts: Parts
  /** Reads of blocks whose newest content is not committed yet. */
  private waiting: { readonly through: Seq; readonly read: PendingRead }[] = []
  private inFlight = 0

  constructor(parts: Parts) {
    this.parts = parts
  }

  onRead(ctx: Context, link: Link, message: Read): void {
    const { state, admission } = this.parts
    const refusal = admission.refusal(ctx, message.epoch, message.generation)
    if (refusal !== undefined && !this.onlyLeaseMissing(message))
      return state.respond(ctx, { link, request: message.request }, refusal)
    if (message.offset + message.length > state.extent.lengthBytes || message.length === 0)
      return state.respond(ctx, { link, request: message.request }, 'OUT_OF_RANGE')
    if (this.inFlight >= LIMITS.primaryReads) return state.respond(ctx, { link, request: message.request }, 'BUSY')
    this.inFlight += 1
    this.fetch(ctx, { link, message })
  }

  private fetch(ctx: Context, read: PendingRead): void {
    const { state, window, disk } = this.parts
    const { first, count } = state.extent.blocksOf(read.message.offset, read.message.length)
    const uncommitted = window.newestSeq(first, count)
    if (uncommitted > 0) {
      this.waiting.push({ through: uncommitted, read })
      return
    }
    const token = ctx.token()
    ctx.emit({
      type: 'load',
      token,
      extent: state.extent.id,
      blocks: Array.from({ length: count }, (_, index) => first + index),
    })
    disk.whenRead(ctx, state.services, token, (later, completion) => {
      if (completion.type === 'loaded') this.onLoaded(later, read, completion.blocks)
    })
  }

  private onLoaded(ctx: Context, read: PendingRead, blocks: readonly LoadedBlock[]): void {
    const { state, admission, repairs, confirmations } = this.parts
    const { message } = read
    const refusal = state.over ? 'NOT_PRIMARY' : admission.refusal(ctx, message.epoch, message.generation)
    const unleased = refusal !== undefined && this.onlyLeaseMissing(message)
    if (refusal !== undefined && !unleased) return this.finish(ctx, read, refusal)
    // A write may have got its seq after this load was requested; the load sees what was passed to the store before it.
    const through = blocks.reduce(
      (newest, { version }) => (version.epoch === state.epoch && version.seq > newest ? version.seq : newest),
      0 as Seq,
    )
    if (through > state.extent.commitSeq) {
      this.waiting.push({ through, read })
      return
    }
    const damaged = blocks.find((block) => block.damaged)
    if (damaged !== undefined) {
      return repairs.repair(
        ctx,
        damaged,
        (later) => this.fetch(later, read),
        (later) => this.finish(later, read, state.codeOfDamage(damaged)),
      )
    }
    if (!unleased) return this.reply(ctx, read, blocks)
    confirmations.confirm(ctx, (later, confirmed) => {
      const after = state.over ? 'NOT_PRIMARY' : admission.unleasedRefusal(message.epoch, message.generation)
      if (confirmed && after === undefined) this.reply(later, read, blocks)
      else this.finish(later, read, after ?? 'WAIT')
    })
  }

  /** The read may be served once the ack set confirms it (amendment 8). */
  private onlyLeaseMissing({ epoch, generation }: Read): boolean {
    const { state, admission, confirmations } = this.parts
    return !state.over && admission.unleasedRefusal(epoch, generation) === undefined && confirmations.possible
  }

  private reply(ctx: Context, { link, message }: PendingRead, blocks: readonly LoadedBlock[]): void {
    const { state } = this.parts
    this.inFlight -= 1
    ctx.emit({
      type: 'reply-read',
      link,
      request: message.request,
      blockSizeBytes: state.extent.blockSizeBytes,
      offset: message.offset,
      length: message.length,
      blocks,
    })
  }

  private finish(ctx: Context, read: PendingRead, code: ErrorCode): void {
    this.inFlight -= 1
    this.parts.state.respond(ctx, { link: read.link, request: read.message.request }, code)
  }

  /** Which blocks hold data. A hint for copying tools: it may be older than a write in flight. */
  onQueryAllocation(ctx: Context, link: Link, message: QueryAllocation): void {
    const { state, admission, disk } = this.parts
    const refusal = admission.refusal(ctx, message.epoch, 0)
    if (refusal !== undefined) return state.respond(ctx, { link, request: message.request }, refusal)
    if (message.firstBlock + message.blocks > state.extent.blockCount)
      return state.respond(ctx, { link, request: message.request }, 'OUT_OF_RANGE')
    const token = ctx.token()
    ctx.emit({
      type: 'allocation',
      token,
      extent: state.extent.id,
      firstBlock: message.firstBlock,
      blocks: message.blocks,
    })
    disk.whenRead(ctx, state.services, token, (later, completion) => {
      if (completion.type !== 'allocation') return
      const after = state.over ? 'NOT_PRIMARY' : admission.refusal(later, message.epoch, 0)
      if (after !== undefined) return state.respond(later, { link, request: message.request }, after)
      later.emit({
        type: 'send',
        link,
        message: { type: 'allocation', request: message.request, runs: completion.runs },
      })
    })
  }

  onCommit(ctx: Context): void {
    if (this.waiting.length === 0) return
    const ready = this.waiting.filter((entry) => entry.through <= this.parts.state.extent.commitSeq)
    this.waiting = this.waiting.filter((entry) => entry.through > this.parts.state.extent.commitSeq)
    for (const { read } of ready) this.fetch(ctx, read)
  }

  /** Reads that wait for a commit are refused; those at the store are refused when they complete. */
  refuseAll(ctx: Context, code: ErrorCode): void {
    const waiting = this.waiting
    this.waiting = []
    for (const { read } of waiting) this.finish(ctx, read, code)
  }
}
