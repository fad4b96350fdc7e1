import type { Ack, ExtentId, FetchBlock, Opened, SpaceReport } from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'
import type { When } from './completion.ts'
import type { ExtentState } from './extent-state.ts'
import type { InboundStream } from './inbound-stream.ts'
import type { Repairs } from './repair.ts'

/** What a replica reports of itself, once its store has read it. */
interface Store {
  readonly when: When
}

export function openedOf({ epoch, gen }: InboundStream, extent: ExtentState, digest: Uint8Array): Opened {
  const { id, lastEpoch, lastSeq, commitSeq, damaged } = extent
  return { type: 'opened', extent: id, epoch, gen, lastEpoch, lastSeq, commitSeq, digest, damaged: [...damaged] }
}

export function ackOf(stream: InboundStream, extent: ExtentId, { freeBytes, space }: SpaceReport): Ack {
  const { epoch, gen, ackedSeq: seq, ackedPush: push, marked } = stream
  return { type: 'ack', extent, epoch, gen, seq, push, marked, freeBytes, space }
}

/** `isCurrent`: the stream has not been replaced meanwhile. */
export function sendDigests(
  ctx: Context,
  { id: extent }: ExtentState,
  store: Store,
  { link, epoch, gen }: InboundStream,
  isCurrent: () => boolean,
): void {
  const token = ctx.token()
  ctx.emit({ type: 'digests', token, extent })
  store.when(token, (later, completion) => {
    if (!isCurrent() || completion.type !== 'digests') return
    const { leaves } = completion
    later.emit({ type: 'send', link, message: { type: 'digests', extent, epoch, gen, leaves } })
  })
}

/** One message a leaf. */
export function sendVersions(
  ctx: Context,
  { id: extent }: ExtentState,
  store: Store,
  { link, epoch, gen }: InboundStream,
  leaves: readonly number[],
  isCurrent: () => boolean,
): void {
  const token = ctx.token()
  ctx.emit({ type: 'versions', token, extent, leaves })
  store.when(token, (later, completion) => {
    if (!isCurrent() || completion.type !== 'versions') return
    for (const { leaf, versions } of completion.leaves)
      later.emit({ type: 'send', link, message: { type: 'versions', extent, epoch, gen, leaf, versions } })
  })
}

/** A peer repairs a damaged block: sends exactly that version, or a response without bytes. */
export function sendBlock(
  ctx: Context,
  extent: ExtentState,
  store: Store,
  repairs: Pick<Repairs, 'found'>,
  link: Link,
  { request, block: index, versionEpoch, versionSeq }: FetchBlock,
): void {
  const token = ctx.token()
  ctx.emit({ type: 'load', token, extent: extent.id, blocks: [index] })
  store.when(token, (later, completion) => {
    const block = completion.type === 'loaded' ? completion.blocks[0] : undefined
    // The peer tries another store; this copy must be repaired before the next scrub. A block known as damaged is left alone:
    // stores that all lack a good copy would go on sending each other requests.
    if (block?.damaged === true && !extent.damaged.has(block.block)) repairs.found(later, block)
    const isWanted = block?.version.epoch === versionEpoch && block.version.seq === versionSeq
    const message =
      block?.bytes !== undefined && !block.damaged && isWanted
        ? ({ type: 'fetched-block', request, checksum: block.version.checksum, bytes: block.bytes } as const)
        : ({ type: 'fetched-block', request, checksum: 0 } as const)
    later.emit({ type: 'send', link, message })
  })
}
