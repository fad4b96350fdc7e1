import type { ClientRequest, Epoch } from '@ashlar/proto'
import type { Handlers, MessageOf } from '../handlers.ts'
import type { Context, Link } from '../machine.ts'
import type { Confirmations } from './confirmations.ts'
import type { Reads } from './reads.ts'
import type { ReplicaRole } from './replica.ts'
import type { Writes } from './writes.ts'

/** Requests of clients, at the primary. */
export const CLIENT_HANDLERS: Handlers<{ readonly reads: Reads; readonly writes: Writes }, ClientRequest['type']> = {
  write: ({ writes }, ctx, link, message) => writes.onWrite(ctx, link, message),
  zero: ({ writes }, ctx, link, message) => writes.onWrite(ctx, link, message),
  cancel: ({ writes }, ctx, link, message) => writes.onCancel(ctx, link, message),
  read: ({ reads }, ctx, link, message) => reads.onRead(ctx, link, message),
  'query-allocation': ({ reads }, ctx, link, message) => reads.onQueryAllocation(ctx, link, message),
}

type ForReplica =
  | 'get-digests'
  | 'get-versions'
  | 'get-windows'
  | 'push'
  | 'mark'
  | 'replicate'
  | 'fetch-block'
  | 'confirm'

/** What primaries and other stores send to a replica. */
export const REPLICA_HANDLERS: Handlers<ReplicaRole, ForReplica> = {
  'get-digests': (replica, ctx, link, message) => replica.onGetDigests(ctx, link, message),
  'get-versions': (replica, ctx, link, message) => replica.onGetVersions(ctx, link, message),
  'get-windows': (replica, ctx, link, message) => replica.onGetWindows(ctx, link, message),
  push: (replica, ctx, link, message) => replica.onPush(ctx, link, message),
  mark: (replica, ctx, link, message) => replica.onMark(ctx, link, message),
  replicate: (replica, ctx, link, message) => replica.onReplicate(ctx, link, message),
  'fetch-block': (replica, ctx, link, message) => replica.onFetchBlock(ctx, link, message),
  confirm: (replica, ctx, link, message) => replica.onConfirm(ctx, link, message),
}

interface ForPrimary {
  readonly confirmations: Confirmations
  onFenced(ctx: Context, promised: Epoch): void
}

/** What replicas send to the primary itself. */
export const PRIMARY_HANDLERS: Handlers<ForPrimary, 'fenced' | 'confirmed'> = {
  fenced: (primary, ctx, _link, { promised }) => primary.onFenced(ctx, promised),
  confirmed: ({ confirmations }, ctx, link, message) => confirmations.onConfirmed(ctx, link, message),
}

/** The primary's end of a stream: a live stream, or a source that it learns from and that gets only some of the messages. */
interface StreamEnd {
  onOpened?(ctx: Context, link: Link, message: MessageOf<'opened'>): void
  onDigests?(ctx: Context, link: Link, message: MessageOf<'digests'>): void
  onVersions(ctx: Context, link: Link, message: MessageOf<'versions'>): void
  onWindows?(ctx: Context, link: Link, message: MessageOf<'windows'>): void
  onAck?(ctx: Context, link: Link, message: MessageOf<'ack'>): void
  onRefused(ctx: Context, link: Link, message: MessageOf<'open-refused' | 'stream-closed'>): void
}

type ForStream = 'opened' | 'open-refused' | 'digests' | 'versions' | 'windows' | 'ack' | 'stream-closed'

/** What replicas send back on a stream. */
export const STREAM_HANDLERS: Handlers<StreamEnd, ForStream> = {
  opened: (stream, ctx, link, message) => stream.onOpened?.(ctx, link, message),
  digests: (stream, ctx, link, message) => stream.onDigests?.(ctx, link, message),
  versions: (stream, ctx, link, message) => stream.onVersions(ctx, link, message),
  windows: (stream, ctx, link, message) => stream.onWindows?.(ctx, link, message),
  ack: (stream, ctx, link, message) => stream.onAck?.(ctx, link, message),
  'open-refused': (stream, ctx, link, message) => stream.onRefused(ctx, link, message),
  'stream-closed': (stream, ctx, link, message) => stream.onRefused(ctx, link, message),
}
