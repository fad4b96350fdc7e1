import type { AppliedOperation, Bytes, Epoch, Seq, SessionWindow } from '@ashlar/proto'
import { Packr } from 'msgpackr'
import type { Head, HeadRecord } from '../../core/machine.ts'
import { UNKNOWN_SPAN } from '../../core/replication/index.ts'
import { sealed, unsealed } from '../encoding/bytes.ts'

/** Value of an `m` key: MessagePack with a crc32 behind it. */
export interface HeadValue {
  readonly blockSizeBytes: Bytes
  readonly lengthBytes: Bytes
  readonly volumeName: string
  readonly head: Head
  readonly windows: readonly SessionWindow[]
}

/** Parts of a head beside the three that every write moves; `record` null is one that is not there. */
export interface HeadExtra {
  readonly promised?: Epoch
  readonly led?: Epoch
  readonly generation?: number
  readonly record?: HeadRecord | null
  readonly windows?: readonly SessionWindow[]
}

export const EMPTY_HEAD: Head = {
  promised: 0 as Epoch,
  led: 0 as Epoch,
  lastEpoch: 0 as Epoch,
  lastSeq: 0 as Seq,
  commitSeq: 0 as Seq,
  generation: 0,
  record: undefined,
}

const packr = new Packr({ useRecords: false })

export function encodeHead(value: HeadValue): Buffer {
  return sealed(packr.pack({ ...value, head: { ...value.head, record: value.head.record ?? null } }))
}

/** The value, or undefined when it does not match its checksum. */
export function decodeHead(bytes: Uint8Array): HeadValue | undefined {
  const content = unsealed(bytes)
  if (content === undefined) return undefined
  const value = packr.unpack(content) as Omit<HeadValue, 'head'> & {
    head: Omit<Head, 'record'> & { record: HeadRecord | null }
  }
  return { ...value, ...withSpans(value), head: { ...value.head, record: value.head.record ?? undefined } }
}

export function encodeHeadExtra(extra: HeadExtra): Buffer {
  return packr.pack(extra)
}

export function decodeHeadExtra(bytes: Uint8Array): HeadExtra {
  const extra = packr.unpack(bytes) as HeadExtra
  return extra.windows === undefined ? extra : { ...extra, ...withSpans({ windows: extra.windows }) }
}

/** Windows of before operations had spans hold pairs. */
function withSpans({ windows }: { readonly windows: readonly SessionWindow[] }): { windows: SessionWindow[] } {
  const spanned = ([op, seq, first = UNKNOWN_SPAN.first, count = UNKNOWN_SPAN.count]: AppliedOperation) =>
    [op, seq, first, count] as const
  return { windows: windows.map((window) => ({ ...window, applied: window.applied.map(spanned) })) }
}
