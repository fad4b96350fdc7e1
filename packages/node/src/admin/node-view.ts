import type {
  AdminCommand,
  BlockIndex,
  BlockVersion,
  ExtentId,
  MapCopy,
  NodeEnd,
  NodeName,
  StoreId,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import type { InsecureListener } from '../config/index.ts'
import type { HeldSession } from '../core/control/index.ts'
import type { RaftView } from '../core/raft/index.ts'
import type { ExtentStatus } from '../core/replication/index.ts'
import type { SpaceView } from '../storage/index.ts'
import type { LinkStatus } from '../transport/index.ts'

/** Whether the node can serve what it holds, and if not, what it waits for, as a sentence for operators. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string }

/** A block that was read from the store just now. */
export interface VerifiedBlock extends BlockVersion {
  readonly block: BlockIndex
  /** False when the bytes are missing or do not match the checksum of the version. */
  readonly intact: boolean
}

/** What this node last saw of a peer, and why that ended by its own report to this node. */
export interface PeerStatus extends LinkStatus {
  readonly reported?: NodeEnd
}

/**
 * What the HTTP API and the metrics read of their node. The composition root implements it over the
 * machines; a test gives plain values. Everything but `admin` and `versions` is read at once, from memory, and is only
 * true for the moment.
 */
export interface NodeView {
  readonly store: StoreId
  readonly name: NodeName
  readonly version: string
  readonly dataDir: string
  /** Directory of the `ashlar dev` that made this node's data directory; undefined when another program did. */
  readonly devDirectory: string | undefined
  /** Name of the node that `ashlar dev` runs at this peer address; undefined where there is none. */
  devNameOf(address: string): string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Listeners that --insecure allowed. */
  readonly insecure: readonly InsecureListener[]
  /** The map as this node has learned it. It changes in place: read it, keep no reference. */
  readonly map: MapCopy
  /**
   * How long ago this map was confirmed to have everything that was committed, milliseconds; undefined when it was not since
   * the process started.
   */
  readonly mapAgeMs: number | undefined
  /** Voters of control's log, as this node last learned them; also before it has the map. */
  readonly voters: readonly Voter[]
  /** The control leader: the store that last responded to this node as leader and has not denied it since. */
  readonly leader: StoreId | undefined
  readonly leaseHeld: boolean
  /** How this store takes part in control's log; undefined when it does not. */
  readonly controlLog: RaftView | undefined
  readonly readiness: Readiness
  /** Why this incarnation of the store is suspect; undefined when it is not (amendment 11). */
  readonly suspicion: string | undefined
  /** Free space on the disk of this store. */
  readonly space: SpaceView
  /** Whether frames of another store arrive at the moment: a silent node does not respond over HTTP either. */
  hears(store: StoreId): boolean
  /** What this node last saw of each peer that it dials. */
  peers(): readonly PeerStatus[]
  /** Sessions that hold volumes, when each was heard of and over which node; none where another node leads control. */
  holders(): readonly HeldSession[]
  /** One for each extent that this store holds. */
  localExtents(): readonly ExtentStatus[]
  /**
   * Sends a command to control. Resolves when this node's map shows its effect: with the volume for create and attach,
   * otherwise with undefined. Rejects with AshlarError: the code of the refusal, NO_CONTROL or TIMEOUT.
   */
  admin(command: AdminCommand): Promise<VolumeRecord | undefined>
  /**
   * Reads the blocks from `firstBlock` on, at most `blocks` of them, and verifies them: those that have a version, by
   * number. Undefined when this store has no replica of the extent. Rejects with CLOSED when the node stops.
   */
  versions(extent: ExtentId, firstBlock: BlockIndex, blocks: number): Promise<readonly VerifiedBlock[] | undefined>
}
