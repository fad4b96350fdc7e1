import type { Message, SpaceReport, StoreId } from '@ashlar/proto'
import type { ControlView, PeerLinks } from '../interfaces.ts'
import type { Context, Input, Token } from '../machine.ts'
import type { CopyPace } from './copy-pace.ts'
import type { ForgottenEpochs } from './forgotten-epochs.ts'
import type { StagingSpace } from './staged-pushes.ts'
import type { Verification } from './verification.ts'

export type Completion = Extract<
  Input,
  { readonly token: Token; readonly type: 'committed' | 'loaded' | 'merged' | 'digests' | 'versions' | 'allocation' }
>

type Of<Type extends Message['type']> = Extract<Message, { type: Type }>
export type ForReplica = Of<
  'get-digests' | 'get-versions' | 'get-windows' | 'push' | 'mark' | 'replicate' | 'fetch-block' | 'confirm'
>
export type ForStream = Of<'opened' | 'open-refused' | 'digests' | 'versions' | 'windows' | 'ack' | 'stream-closed'>
export type ForPrimary = ForStream | Of<'fenced' | 'confirmed'>

/** What the roles of an extent share with the rest of the node. */
export interface Services {
  readonly self: StoreId
  /** Start counter of this incarnation. */
  readonly counter: number
  readonly control: ControlView
  readonly links: PeerLinks
  /** Calls `then` with the completion of this token, once. */
  when(token: Token, then: (ctx: Context, completion: Completion) => void): void
  /** This replica owes an acknowledgement, sent at the end of the step. */
  acknowledgeAtEnd(replica: { endStep(ctx: Context): void }): void
  /** What this store does before anybody relies on it, in a life in which it is not believed. */
  readonly verification: Verification
  /** Promises that the map knows nothing of. */
  readonly forgotten: ForgottenEpochs
  /** Turns of all that copies to replicas which are filled. */
  readonly pace: CopyPace
  /** Memory for what its replicas keep aside until a MARK. */
  readonly staging: StagingSpace
  /** Room of this store's disk, as last told (amendment 17). */
  room(): SpaceReport
}
