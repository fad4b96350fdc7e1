import {
  BLOCK_DATA,
  type Confirm,
  countsIn,
  type Epoch,
  type FetchBlock,
  type GetDigests,
  type GetVersions,
  type GetWindows,
  type Mark,
  type Open,
  type OpenRefused,
  type Push,
  type Replicate,
  type Seq,
  type StoreId,
} from '@ashlar/proto'
import type { BlockChange, Context, Link, Token } from '../machine.ts'
import { DedupeWindows } from './dedupe.ts'
import type { ExtentState } from './extent-state.ts'
import { type InboundStream, inboundStream } from './inbound-stream.ts'
import type { Repairs } from './repair.ts'
import { ackOf, openedOf, sendBlock, sendDigests, sendVersions } from './replica-responses.ts'
import type { Services } from './services.ts'
import { pushedChange, StagedPushes } from './staged-pushes.ts'

/** Messages of a primary that only the current stream may carry. */
type StreamMessage = GetDigests | GetVersions | GetWindows | Push | Mark | Replicate

/** The replica's side of one extent: epoch gate, gap gate, persist, acknowledge (protocol A2.4). */
export class ReplicaRole {
  private readonly extent: ExtentState
  private readonly services: Services
  private readonly repairs: Repairs
  private stream: InboundStream | undefined

  constructor(extent: ExtentState, services: Services, repairs: Repairs) {
    this.extent = extent
    this.services = services
    this.repairs = repairs
  }

  /** S-1. The caller has already made a primary of a lower epoch on this store step down. */
  onOpen(ctx: Context, link: Link, open: Open): void {
    const current = this.stream
    if (open.replicaStore !== this.services.self || open.replicaCounter !== this.services.counter)
      return this.refuse(ctx, link, open, 'wrong-store')
    if (open.epoch < this.extent.promised) return this.refuse(ctx, link, open, 'fenced')
    if (
      current !== undefined &&
      (open.epoch < current.epoch || (open.epoch === current.epoch && open.gen <= current.gen))
    )
      return this.refuse(ctx, link, open, 'older-stream')
    const staged = (open.counts ?? this.counts()) ? new StagedPushes(this.services.staging) : undefined
    const stream = inboundStream(link, open, staged)
    // From here on nothing of the stream before is applied. The promise is queued for writing even when it is not
    // higher: once it is durable so is everything of older streams, and only then is the table read (A2.9-1).
    this.end()
    this.stream = stream
    const token = this.extent.commit(ctx, { head: { promised: open.epoch } })
    this.services.when(token, (later) => this.verify(later, stream))
  }

  /** This store may be the next primary by its own map, where the primary does not say so. */
  private counts(): boolean {
    const { control, self } = this.services
    const record = control.map.extents.get(this.extent.id) ?? this.extent.record
    return record === undefined || countsIn(record, self)
  }

  /** The stream is over, and what it staged is dropped. */
  private end(): void {
    this.forgetStaged()
    this.stream = undefined
  }

  /** What a suspect store lost after it was read was not compared: the next stream compares it (A2.17-5). */
  onVersionsLost(ctx: Context): void {
    if (this.stream !== undefined) this.closeStream(ctx, this.stream, 'versions were lost')
  }

  /** This store leads from now on: what is staged is dropped. */
  forgetStaged(): void {
    this.stream?.staged?.drop()
  }

  /** A suspect store reads all its bytes before it responds (A2.17-2). */
  private verify(ctx: Context, stream: InboundStream): void {
    if (this.stream !== stream) return
    this.services.verification.before(ctx, this.extent, (later) => this.readTable(later, stream))
  }

  private readTable(ctx: Context, stream: InboundStream): void {
    if (this.stream !== stream) return
    const token = ctx.token()
    ctx.emit({ type: 'digests', token, extent: this.extent.id })
    this.services.when(token, (later, completion) => {
      if (this.stream !== stream || completion.type !== 'digests') return
      stream.phase = 'open'
      later.emit({ type: 'send', link: stream.link, message: openedOf(stream, this.extent, completion.root) })
      if (this.services.space().space !== 'free') this.acknowledge()
    })
  }

  private refuse(ctx: Context, link: Link, open: Open, reason: OpenRefused['reason']): void {
    const { extent, epoch, gen } = open
    const { promised } = this.extent
    ctx.emit({ type: 'send', link, message: { type: 'open-refused', extent, epoch, gen, reason, promised } })
  }

  /** The stream that a message belongs to; undefined once an outdated message has got its response (A2.3-7). */
  private admit(ctx: Context, link: Link, message: StreamMessage): InboundStream | undefined {
    if (message.epoch < this.extent.promised) {
      ctx.emit({
        type: 'send',
        link,
        message: { type: 'fenced', extent: this.extent.id, promised: this.extent.promised },
      })
      return undefined
    }
    const stream = this.stream
    if (stream === undefined || stream.link !== link || stream.epoch !== message.epoch || stream.gen !== message.gen)
      return undefined
    return stream.phase === 'opening' ? undefined : stream
  }

  onGetDigests(ctx: Context, link: Link, message: GetDigests): void {
    const stream = this.admit(ctx, link, message)
    if (stream === undefined) return
    stream.applied = DedupeWindows.from(message.windows)
    sendDigests(ctx, this.extent, this.services, stream, () => this.stream === stream)
  }

  onGetVersions(ctx: Context, link: Link, message: GetVersions): void {
    const stream = this.admit(ctx, link, message)
    if (stream !== undefined)
      sendVersions(ctx, this.extent, this.services, stream, message.leaves, () => this.stream === stream)
  }

  /** A primary that reconciles suspect stores requests the operations that they remember (A2.17-3, A2.11-4). */
  onGetWindows(ctx: Context, link: Link, message: GetWindows): void {
    const stream = this.admit(ctx, link, message)
    if (stream === undefined) return
    const { id: extent, windows } = this.extent
    const { epoch, gen } = stream
    ctx.emit({ type: 'send', link, message: { type: 'windows', extent, epoch, gen, windows: windows.snapshot() } })
  }

  onPush(ctx: Context, link: Link, message: Push): void {
    const stream = this.admit(ctx, link, message)
    if (stream === undefined) return
    if (stream.phase !== 'open' || !this.fits(message))
      return this.closeStream(ctx, stream, 'push after mark or of the wrong size')
    const change = pushedChange(message)
    if (stream.staged?.add(change) === true) {
      // This only lets the primary send more: nothing counts before the MARK.
      stream.ackedPush = message.push
      return this.acknowledge()
    }
    if (stream.staged?.isLarge === false) return this.closeStream(ctx, stream, 'no space to stage what is copied')
    const blocks = [...(stream.staged?.take() ?? []), change]
    stream.staged = undefined
    const token = this.extent.commit(ctx, {
      blocks,
      ...(stream.applied === undefined ? {} : { rolledBackTo: stream.applied }),
    })
    this.acknowledgeWhenDurable(stream, token, () => {
      stream.ackedPush = message.push
    })
  }

  onMark(ctx: Context, link: Link, message: Mark): void {
    const stream = this.admit(ctx, link, message)
    if (stream === undefined) return
    if (stream.phase !== 'open') return this.closeStream(ctx, stream, 'second mark')
    stream.phase = 'live'
    const token = this.extent.commit(ctx, {
      blocks: stream.staged?.take() ?? [],
      head: {
        lastEpoch: message.lastEpoch,
        lastSeq: message.lastSeq,
        // A known commit point never goes back: a new primary may know fewer commits than this store.
        commitSeq: Math.max(this.extent.commitSeq, message.commitSeq) as Seq,
      },
      windows: message.windows,
    })
    this.acknowledgeWhenDurable(stream, token, () => {
      stream.marked = true
      stream.ackedSeq = message.lastSeq
    })
  }

  /** A2.5-4 and S-4: gapless, or the stream is over. */
  onReplicate(ctx: Context, link: Link, message: Replicate): void {
    const stream = this.admit(ctx, link, message)
    if (stream === undefined) return
    const { extent } = this
    if (stream.phase !== 'live' || extent.lastEpoch !== message.prevEpoch || extent.lastSeq !== message.prevSeq)
      return this.closeStream(ctx, stream, 'gap')
    // The MARK of the next stream brings the windows of the primary, which knows the ended sessions.
    const session = message.operation?.session
    if (session !== undefined && extent.sessions?.lacksWindow(extent.windows, session))
      return this.closeStream(ctx, stream, 'too many sessions with operations to remember')
    const blocks: BlockChange[] = []
    for (const replicated of message.blocks) {
      if (!this.fits(replicated)) return this.closeStream(ctx, stream, 'block outside the extent or of the wrong size')
      blocks.push({
        block: replicated.block,
        version: { epoch: message.epoch, seq: message.seq, kind: replicated.kind, checksum: replicated.checksum },
        ...(replicated.bytes === undefined ? {} : { bytes: replicated.bytes }),
      })
    }
    const token = extent.commit(ctx, {
      blocks,
      head: {
        lastEpoch: message.epoch,
        lastSeq: message.seq,
        commitSeq: Math.max(extent.commitSeq, message.commitSeq) as Seq,
        ...(message.operation === undefined
          ? {}
          : { generation: Math.max(extent.generation, message.operation.generation) }),
      },
      ...(message.operation === undefined
        ? {}
        : { operation: { operation: message.operation, seq: message.seq, cancel: message.cancel } }),
    })
    this.acknowledgeWhenDurable(stream, token, () => {
      stream.ackedSeq = message.seq
    })
  }

  private fits(change: { block: number; kind: number; bytes?: Uint8Array }): boolean {
    if (change.block >= this.extent.blockCount) return false
    return change.kind === BLOCK_DATA ? change.bytes?.length === this.extent.blockSizeBytes : change.bytes === undefined
  }

  private acknowledgeWhenDurable(stream: InboundStream, token: Token, update: () => void): void {
    this.services.when(token, () => {
      update()
      stream.ackDue = true
      this.services.acknowledgeAtEnd(this)
    })
  }

  /** Acknowledges again what is durable, and with it reports the space of this store (A2.19-2). */
  acknowledge(): void {
    if (this.stream === undefined || this.stream.phase === 'opening') return
    this.stream.ackDue = true
    this.services.acknowledgeAtEnd(this)
  }

  /** Sends one cumulative ACK for everything that became durable in this step. */
  endStep(ctx: Context): void {
    const stream = this.stream
    if (stream === undefined || !stream.ackDue) return
    stream.ackDue = false
    const message = ackOf(stream, this.extent.id, this.services.space())
    ctx.emit({ type: 'send', link: stream.link, message })
  }

  private closeStream(ctx: Context, stream: InboundStream, reason: string): void {
    this.end()
    const { link, primary: store, epoch, gen } = stream
    const { id: extent } = this.extent
    ctx.event('warn', 'stream-closed', { extent, store, reason })
    ctx.emit({ type: 'send', link, message: { type: 'stream-closed', extent, epoch, gen, reason } })
  }

  onFetchBlock(ctx: Context, link: Link, message: FetchBlock): void {
    sendBlock(ctx, this.extent, this.services, this.repairs, link, message)
  }

  /** A primary without a lease requests the last promise of this store (amendment 8). */
  onConfirm(ctx: Context, link: Link, { round, epoch, commitSeq }: Confirm): void {
    if (commitSeq !== undefined) return this.onCommitted(ctx, link, epoch, commitSeq)
    const { id, promised } = this.extent
    ctx.emit({ type: 'send', link, message: { type: 'confirmed', extent: id, round, promised } })
  }

  /** The primary is idle and reports its commit point (A2.8-9). */
  private onCommitted(ctx: Context, link: Link, epoch: Epoch, commitSeq: Seq): void {
    const { extent, stream } = this
    if (stream?.link !== link || stream.epoch !== epoch || stream.phase !== 'live') return
    if (commitSeq > extent.commitSeq && commitSeq <= extent.lastSeq) extent.commit(ctx, { head: { commitSeq } })
  }

  onLinkDown(link: Link): void {
    if (this.stream?.link === link) this.end()
  }

  /** The replica is about to be deleted: completions that are pending at the store find no stream. */
  drop(): void {
    this.end()
  }

  /** The primary of the open stream, for the status. */
  describe(): { primary: StoreId; phase: string } | undefined {
    return this.stream === undefined ? undefined : { primary: this.stream.primary, phase: this.stream.phase }
  }
}
