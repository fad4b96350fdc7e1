import type { Epoch, ExtentId, Seq, StoreId } from '@ashlar/proto'
import type { ExtentState } from './extent-state.ts'
import type { PrimaryState } from './primary-state.ts'
import type { ReconcilePhase } from './reconcile-source.ts'
import type { OutStream } from './stream.ts'

/** What one store reports of one extent that it holds. */
export interface ExtentStatus {
  readonly extent: ExtentId
  readonly role: 'primary' | 'replica'
  /** Phase of the primary, or of the inbound stream; `waiting` where there is none. */
  readonly phase: string
  readonly epoch: Epoch
  /** The last write that it holds. */
  readonly lastEpoch: Epoch
  readonly lastSeq: Seq
  readonly commitSeq: Seq
  /** Blocks of the extent, and those known to be damaged here. */
  readonly blockCount: number
  readonly damagedBlocks: number
  /** Writes between seq and commit. */
  readonly pendingWrites: number
  /** Each other store that holds or joins this extent; only the primary knows. */
  readonly streams: readonly {
    readonly store: StoreId
    readonly phase: string
    readonly marked: boolean
    readonly behindBlocks: number
    /** Blocks among these that wait until the other store has space. */
    readonly deferredBlocks: number
    readonly copiedBlocks: number
    /** The copy is throttled, because clients are served. */
    readonly throttled: boolean
    readonly ackedSeq: Seq
  }[]
  /** Suspect stores that are reconciled before this primary begins (amendment 11), itself included; absent otherwise. */
  readonly reconciling?: readonly { readonly store: StoreId; readonly phase: ReconcilePhase }[]
}

interface PrimaryParts {
  readonly state: PrimaryState
  readonly window: { readonly size: number }
  readonly streams: ReadonlyMap<StoreId, OutStream>
  readonly reconciliation: { describe(): ExtentStatus['reconciling'] } | undefined
}

/** The status of an extent, from the state of its store, from its inbound stream and from its primary where that is here. */
export function statusOf(
  state: ExtentState,
  inbound: { readonly phase: string } | undefined,
  primary: PrimaryParts | undefined,
): ExtentStatus {
  const reconciling = primary?.reconciliation?.describe()
  return {
    extent: state.id,
    role: primary === undefined ? 'replica' : 'primary',
    phase: primary?.state.phase ?? inbound?.phase ?? 'waiting',
    epoch: primary?.state.epoch ?? state.promised,
    lastEpoch: state.lastEpoch,
    lastSeq: state.lastSeq,
    commitSeq: state.commitSeq,
    blockCount: state.blockCount,
    damagedBlocks: state.damaged.size,
    pendingWrites: primary?.window.size ?? 0,
    streams: [...(primary?.streams.values() ?? [])].map((stream) => ({
      store: stream.store,
      phase: stream.phase,
      marked: stream.marked,
      behindBlocks: stream.behindBlocks,
      deferredBlocks: stream.deferredBlocks,
      copiedBlocks: stream.copiedBlocks,
      throttled: stream.throttled.yields,
      ackedSeq: stream.ackedSeq,
    })),
    ...(reconciling === undefined ? {} : { reconciling }),
  }
}
