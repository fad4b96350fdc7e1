import { GIB, KIB, MIB } from './units.ts'

/**
 * Every limit and timer that more than one part relies on, with its unit and its reason. Assertions between them are at
 * the end of this file and run at import, so that a changed number that breaks another one does not start.
 */
export const LIMITS = {
  /** Block size D of a volume, bytes. */
  minBlockBytes: 4 * KIB,
  maxBlockBytes: MIB,
  defaultBlockBytes: 4 * KIB,
  /** M of a volume unless it is said otherwise. */
  defaultReplicas: 3,
  /** Extent size of a volume, bytes. */
  minExtentBytes: 16 * MIB,
  maxExtentBytes: 4 * GIB,
  /** Replicas M of a volume. */
  maxReplicas: 5,
  /** The client cuts ranges at extent edges and here: one piece is one operation, one seq, one batch (amendment 19). */
  pieceBytes: MIB,
  /** TRIM and WRITE_ZEROES go in operations of at most this many blocks (amendment 21). */
  zeroBlocks: 1024,
  /** A client erases in smaller pieces, and a whole volume not at once: what others write waits behind few blocks. */
  discardPieceBlocks: 256,
  /** Blocks of one extent that one client has on their way to be erased, at most; fewer while they take long. */
  discardedBlocksInFlight: 16_384,
  /** Largest WebSocket message anyone sends or accepts, bytes (amendment 19). */
  frameBytes: 10 * MIB,
  /** Largest msgpack body of a control message, bytes: decoding is bounded before it starts (finding 14). */
  controlBytes: MIB,
  /** Most records that share one frame. */
  frameRecords: 4096,
  /** Blocks under one leaf of the digest tree (amendment 10). */
  leafBlocks: 256,
  /** Bytes of PUSH on their way to one joining replica (A2.9-2). */
  pushWindowBytes: MIB,
  /** Bytes of client writes that one extent's primary has given a seq and not yet committed. */
  primaryWindowBytes: 32 * MIB,
  /**
   * Bytes of PUSH that a store keeps aside for all its replicas until their MARKs (A2.9-4). What a replica that counts lacks,
   * or has more, are writes that did not commit: two windows of its extent at most, and hardly ever of many extents at once.
   */
  stagedPushBytes: 128 * MIB,
  /** Operations in the same window. */
  primaryWindowOps: 1024,
  /** Reads that one extent's primary is serving at once. */
  primaryReads: 1024,
  /** Bytes of requests that one client has on its way, all volumes together; to one extent as many as are left free at most. */
  clientInFlightBytes: 64 * MIB,
  /** Bytes of these that are kept for the first request of each extent, beyond its share (A2.11-5). */
  clientFirstBytes: 16 * MIB,
  /** Operations of one session on one extent that may be unresolved: bounds every dedupe window (amendments 13 and 30). */
  sessionOps: 1024,
  /**
   * Sessions whose operations one replica of an extent remembers: those that hold the volume, and those that are over and not
   * forgotten yet, which is a matter of one renewal (A2.11-8).
   */
  sessionWindows: 256,
  /** Bytes queued on one connection before a client is not read from, and before `send` says full and the link is cut. */
  linkHighBytes: 8 * MIB,
  linkCutBytes: 64 * MIB,
  /** Journal keys between two checkpoints of heads and digests (amendment 10). */
  checkpointBatches: 4096,
  /** Bytes that one group-commit batch gathers at most. */
  commitBatchBytes: MIB,
  /** Names of volumes and nodes, characters. */
  nameLength: 63,
  /** Volumes of a cluster. */
  volumes: 4096,
  /** Nodes of a cluster. */
  nodes: 256,
  /** Voters of control's log: three or five, seven at most, and as many again while they are exchanged. */
  voters: 16,
  /** Voters that a node takes from what peers greet with, until the map tells who they are. */
  knownVoters: 64,
  /** Extents of a cluster, all volumes together: the whole map fits in one map-update, and so in one frame. */
  mapExtents: 100_000,
  /** Extents of one message of promises; what is left over comes with the next one. */
  promisesPerMessage: 1024,
  /** Sessions that hold one volume at once (mode shared). */
  holders: 64,
  /** Sessions in the whole map above which none joins those that share a volume: one holds each volume, and as many again. */
  mapHolders: 4096,
  /** Extents that one release gives up: its entry in control's log fits in a frame, whom it avoids included. */
  releaseExtents: 8192,
  /** Tombstones that the map keeps one by one; older ones are ranges of numbers (A2.18-4). */
  tombstones: 1024,
  /** Entries and bytes of control's log that its leader has proposed and nobody committed: more are refused. */
  uncommittedEntries: 1024,
  uncommittedBytes: 16 * MIB,
} as const

/**
 * Timers in milliseconds. Two things bound them. From above: how long a write may stall when a node dies (a replica 1 s, a
 * primary 2.5 s, primary and leader in one 4 s, 1 s more when it hangs). From below, and stronger: a node whose event loop
 * stands still for `toleratedPauseMs` costs nobody a lease, a place in an in-sync set, or the lead of control. The assertions
 * at the end of this file keep each timer above that (A2.15).
 */
export const TIMERS = {
  /** The pump's tick: resolution of every timer inside a machine. */
  tickMs: 50,
  /** A pause of a node's event loop (garbage, a busy processor, a synchronous call) that must have no consequences. */
  toleratedPauseMs: 500,
  /** A longer time between two ticks means that this process stood still and heard nobody: it must not count as their silence. */
  noticedPauseMs: 250,
  /** A node renews its lease this often: five times in a lease, so that an answer that comes late or never costs nothing. */
  renewMs: 200,
  /**
   * A node holds its lease this long from the moment that it sent the renewal that was answered. Most of the stall when a
   * primary dies: shorter would be better, but a renewal, a pause and the next renewal's way have to fit.
   */
  leaseMs: 1000,
  /** Control's count of a lease adds what clocks may drift apart, and this for a step between the look at a lease and its answer. */
  leaseSlackMs: 100,
  /** Peers of one extent ping over an idle link this often. */
  pingMs: 250,
  /** A peer that sent no frame for this long is silent (amendment 18). A whole pause and the ping before it fit twice over an idle tick. */
  silentMs: 1000,
  /** A store is silent when every connection with it closed and none came back for this long: its process is gone, or the way to it. */
  unconnectedMs: 150,
  /** An extent without a write for this long has its replicas told, once, how far it is committed (A2.8-9). */
  commitNewsMs: 1000,
  /** A peer that sends frames but no acknowledgement for this long is slow. */
  slowMs: 5000,
  /**
   * A voter whose control log takes longer to save a request has a disk that hangs: a leader hands over. Sooner than a replica is
   * slow, because no lease is renewed meanwhile, and because a leader costs nothing to replace.
   */
  logSlowMs: 2000,
  /** A stream that is not opened by then is opened again. */
  openTimeoutMs: 2000,
  /** An unanswered compare-and-set or control request is sent again, and one that hung or left is no longer asked. */
  controlRetryMs: 600,
  /** First and longest pause before a replica that was taken out is let in again. */
  rejoinMinMs: 1000,
  rejoinMaxMs: 60_000,
  /** First and longest pause between two dials of one peer. */
  redialMinMs: 50,
  redialMaxMs: 1000,
  /** A takeover without a live primary before it gives in-sync stores that have not registered this long (A2.8-11). */
  unregisteredGraceMs: 10_000,
  /** A client holds a request this long while there is no primary or too few replicas, then fails it (--io-timeout). */
  ioTimeoutMs: 60_000,
  /** A session that shares a volume says this often that it is there. */
  holderRenewMs: 3000,
  /** One that was not heard of for this long makes room where as many share a volume as may, */
  holderYieldMs: 10_000,
  /** and one that was not heard of for this long ends in any case: its calls have failed by then. */
  holderSilentMs: 60_000,
  /** A client retries a request that was told WAIT at the latest after this long, at once when the map changes. */
  waitRetryMs: 200,
  /** A request that got no answer at all is sent again, with its operation id, after this long. */
  answerTimeoutMs: 5000,
  /**
   * While a request of a client waits this long, the node that tells it of changes of the map has to show that it lives, within
   * the same time again; else another one is asked to tell. Both fit in a lease: who hangs may be that very node, and the
   * client is to hear at once who serves in its place.
   */
  watchTimeoutMs: 450,
  /** The handshake of a connection must be over by then. */
  handshakeMs: 5000,
  /** The leader of control's log lets its followers hear from it this often. */
  heartbeatMs: 100,
  /**
   * A follower that hears no leader for a time drawn from this range asks for votes; a leader that hears no majority for the
   * lower end steps down. Only a leader that hangs is waited for so long: the connections of one that died close, which makes
   * followers ask within three heartbeats.
   */
  electionMinMs: 1000,
  electionMaxMs: 2000,
} as const

/** Greatest rate error of a monotonic clock that leases allow for: 5 %. */
export const CLOCK_DRIFT = 0.05

/** How long control waits from the receipt of a renewal before it says that the lease ran out. */
export function leaseExpiryMs(): number {
  return (TIMERS.leaseMs * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT) + TIMERS.leaseSlackMs
}

/** Bytes of one extent in a map-update at most: its record (in-sync and eligible stores are among its M), and how it was forced. */
function mapExtentBytes(): number {
  return 45 + 2 * 2 * LIMITS.maxReplicas + 27
}

/** Bytes of one holder in a map-update at most. */
const HOLDER_BYTES = 11 + 255

/** Bytes of one dedupe window in a mark at most: its head, and each operation that it remembers, once more where it is cancelled. */
function windowBytes(): number {
  return 32 + LIMITS.sessionOps * (24 + 8)
}

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`limits contradict each other: ${what}`)
}
holds(LIMITS.pieceBytes >= LIMITS.maxBlockBytes, 'a piece holds a whole block')
holds(LIMITS.discardPieceBlocks <= LIMITS.zeroBlocks, 'a piece that a client erases is one operation')
holds(LIMITS.discardPieceBlocks <= LIMITS.discardedBlocksInFlight, 'a piece to erase may be on its way')
holds(LIMITS.pieceBytes + 64 * KIB < LIMITS.frameBytes, 'a piece with its header fits in a frame')
holds(
  LIMITS.mapExtents * mapExtentBytes() + MIB <= LIMITS.frameBytes,
  'the whole map fits in one frame, with M at its largest and every primary named by force',
)
holds(LIMITS.sessionWindows >= 2 * LIMITS.holders, 'all that hold a volume have a window, and as many that are over')
holds(
  LIMITS.sessionWindows * windowBytes() + MIB <= LIMITS.frameBytes,
  'the windows of an extent fit in a frame, each with all its operations unresolved and cancelled',
)
holds(
  LIMITS.mapExtents * (mapExtentBytes() - 27) + (LIMITS.volumes + LIMITS.mapHolders) * HOLDER_BYTES + MIB <=
    LIMITS.frameBytes,
  'the whole map fits in one frame, with as many holders as there may be',
)
holds(
  LIMITS.volumes + LIMITS.tombstones + 2 <= 2 * LIMITS.volumes,
  'a delta takes as many ranges of tombstones as there can be between volumes and the latest of them',
)
holds(LIMITS.pushWindowBytes >= LIMITS.maxBlockBytes, 'the push window holds a whole block')
holds(
  LIMITS.stagedPushBytes >= 2 * LIMITS.primaryWindowBytes,
  'what a replica may lack and have more of one extent is kept aside',
)
holds(LIMITS.linkHighBytes < LIMITS.linkCutBytes, 'a client is held back before its link is cut')
holds(
  LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes >= LIMITS.primaryWindowBytes &&
    LIMITS.clientFirstBytes >= 8 * LIMITS.pieceBytes,
  'a client keeps a whole window busy, and goes on beside extents that are not served',
)
holds(LIMITS.clientInFlightBytes <= LIMITS.linkCutBytes, 'the answers to one client fit on its link')
holds(TIMERS.leaseMs >= 4 * TIMERS.renewMs, 'a lease spans at least four renewals')
holds(
  leaseExpiryMs() >= (TIMERS.leaseMs * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT) + TIMERS.tickMs,
  'control waits longer than any holder whose clock is within the drift counts',
)
holds(TIMERS.silentMs >= 3 * TIMERS.pingMs, 'silence is at least three pings long')
holds(TIMERS.logSlowMs < TIMERS.slowMs, 'control decides again before a replica on the same disk is slow')
holds(TIMERS.electionMinMs >= 3 * TIMERS.heartbeatMs, 'an election needs at least three missed heartbeats')
holds(TIMERS.electionMaxMs >= 2 * TIMERS.electionMinMs, 'election timeouts are spread, so that votes rarely split')
holds(TIMERS.heartbeatMs >= 2 * TIMERS.tickMs, 'a heartbeat is at least two ticks')
holds(TIMERS.unconnectedMs < TIMERS.silentMs, 'a store without a connection is silent sooner than one with')
holds(
  TIMERS.unconnectedMs >= 3 * TIMERS.redialMinMs,
  'a connection that broke is dialed twice before it means anything',
)
holds(TIMERS.holderYieldMs >= 3 * TIMERS.holderRenewMs, 'a session is called gone after three missed words of it')
holds(TIMERS.holderSilentMs >= TIMERS.ioTimeoutMs, 'a session ends by itself only once its calls have failed')
holds(
  2 * TIMERS.watchTimeoutMs + 2 * TIMERS.tickMs <= TIMERS.leaseMs,
  'a client leaves a node that hangs before another one serves',
)

// A pause of one node. Each sign of life is due once more before it ends, one tick late, and a fifth of a lease is left for
// the way of the message and what a busy processor adds.
const pausedMs = TIMERS.toleratedPauseMs + TIMERS.tickMs
const spareMs = TIMERS.leaseMs / 5
holds(pausedMs > 2 * TIMERS.noticedPauseMs, 'a process notices the pauses that it is to tolerate')
holds(TIMERS.noticedPauseMs >= 4 * TIMERS.tickMs, 'a late tick is no standstill')
holds(
  TIMERS.renewMs + pausedMs + spareMs <= TIMERS.leaseMs,
  'a node that paused still holds its lease, and gets the next',
)
holds(TIMERS.pingMs + pausedMs + spareMs <= TIMERS.silentMs, 'a peer that paused is not silent')
holds(TIMERS.heartbeatMs + pausedMs + spareMs <= TIMERS.electionMinMs, 'nobody wants to replace a leader that paused')
holds(pausedMs <= TIMERS.controlRetryMs, 'a leader that paused is not left')
