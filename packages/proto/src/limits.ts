import { GIB, KIB, MIB } from './units.ts'

/**
 * Every limit and timer that more than one part relies on, with its unit and its reason. Assertions at the end of this
 * file run at import: a process does not start with numbers that contradict each other.
 */
export const LIMITS = {
  /** Block size D of a volume, bytes. */
  minBlockBytes: 4 * KIB,
  maxBlockBytes: MIB,
  defaultBlockBytes: 4 * KIB,
  /** M of a volume that is created without one. */
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
  /** A client discards in pieces of at most this many blocks: writes of other clients wait behind few blocks. */
  discardPieceBlocks: 256,
  /** Blocks of one extent that one client has in flight in discards, at most; fewer while primaries are busy. */
  discardedBlocksInFlight: 16_384,
  /** Largest WebSocket message that a node or a client sends or accepts, bytes (amendment 19). */
  frameBytes: 10 * MIB,
  /** Largest msgpack body of a control message, bytes: decoding is bounded before it starts (finding 14). */
  controlBytes: MIB,
  /** Most records that share one frame. */
  frameRecords: 4096,
  /** Blocks under one leaf of the digest tree (amendment 10). */
  leafBlocks: 256,
  /** Bytes of PUSH in flight to one joining replica (A2.9-2). */
  pushWindowBytes: MIB,
  /** Bytes of client writes that one extent's primary has given a seq and not yet committed. */
  primaryWindowBytes: 32 * MIB,
  /**
   * Bytes of PUSH that a store stages for all its replicas until their MARKs (A2.9-4). An in-sync or eligible replica
   * differs by uncommitted writes only: two windows of its extent at most, and rarely in many extents at once.
   */
  stagedPushBytes: 128 * MIB,
  /** Operations in the same window. */
  primaryWindowOps: 1024,
  /** Reads that the primary of one extent serves at once. */
  primaryReads: 1024,
  /**
   * Bytes of requests that one client has in flight, all volumes together; to one extent at most as many as are left
   * free.
   */
  clientInFlightBytes: 64 * MIB,
  /** Bytes of these that are reserved for the first request of each extent, beyond its share (A2.11-5). */
  clientFirstBytes: 16 * MIB,
  /**
   * Operations of one session on one extent that may be unresolved: bounds every dedupe window (amendments 13 and 30).
   */
  sessionOps: 1024,
  /**
   * Sessions whose operations one replica of an extent remembers: those that hold the volume, and those that ended
   * within the last renewal (A2.11-8).
   */
  sessionWindows: 256,
  /**
   * Bytes queued on one connection above which a node stops reading from the client, and above which it cuts the link.
   */
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
  /** Voters of control's log: three or five, at most seven, and twice as many while they are replaced. */
  voters: 16,
  /** Voters that a node learns from the handshakes of peers before it has the map. */
  knownVoters: 64,
  /** Extents of a cluster, all volumes together: the whole map fits in one map-update, and so in one frame. */
  mapExtents: 100_000,
  /** Extents of one message of promises; the next message has the rest. */
  promisesPerMessage: 1024,
  /** Sessions that hold one volume at once (mode shared). */
  holders: 64,
  /** Sessions in the whole map, beside one for each volume, above which no further session may share a volume. */
  mapHolders: 4096,
  /** Extents of one release: its entry in control's log, with the stores to avoid, fits in a frame. */
  releaseExtents: 8192,
  /** Tombstones that the map keeps one by one; older ones are ranges of numbers (A2.18-4). */
  tombstones: 1024,
  /** Entries and bytes of control's log that are proposed and not committed, at most: the leader refuses more. */
  uncommittedEntries: 1024,
  uncommittedBytes: 16 * MIB,
} as const

/**
 * Timers in milliseconds. The upper bound is the longest stall of a write when a node dies: 1 s for a replica, 2.5 s
 * for a primary, 4 s for a node that is primary and leader, 1 s more if it hangs. The lower bound is stronger: an event
 * loop that pauses for `toleratedPauseMs` must cost no lease, no membership of an in-sync set and no leadership of
 * control. Assertions at the end of this file check that (A2.15).
 */
export const TIMERS = {
  /** Tick of the pump: the resolution of every timer inside a machine. */
  tickMs: 50,
  /** A pause of a node's event loop (garbage, a busy processor, a synchronous call) that must have no consequences. */
  toleratedPauseMs: 500,
  /**
   * A longer time between two ticks is a pause of this process: it received nothing meanwhile, so no peer counts as
   * silent.
   */
  noticedPauseMs: 250,
  /** A node renews its lease this often: five times in a lease, so that one late or lost response has no effect. */
  renewMs: 200,
  /**
   * A node holds its lease this long after it sent the last renewal that has a response. It is most of the stall when a
   * primary dies. A renewal, a pause and the round trip of the next renewal have to fit.
   */
  leaseMs: 1000,
  /** Control adds the drift of clocks to a lease, and this for a step between the check of a lease and the response. */
  leaseSlackMs: 100,
  /** Peers of one extent send a ping over an idle link this often. */
  pingMs: 250,
  /** A peer that sent no frame for this long is silent (amendment 18). A whole pause and the ping before it fit. */
  silentMs: 1000,
  /**
   * A store is silent when all its connections closed and none came back for this long: its process or network is down.
   */
  unconnectedMs: 150,
  /**
   * The primary of an extent without a write for this long sends its commit position to the replicas, once (A2.8-9).
   */
  commitNewsMs: 1000,
  /** A peer that sends frames but no acknowledgement for this long is slow. */
  slowMs: 5000,
  /**
   * A control log that takes longer to save a request is on a disk that hangs: a leader hands over. This is shorter
   * than the time for a slow replica, because no lease is renewed meanwhile and a leader costs nothing to replace.
   */
  logSlowMs: 2000,
  /** A stream that is not open after this long is opened again. */
  openTimeoutMs: 2000,
  /**
   * A compare-and-set or control request without a response for this long is sent again, to another leader if there is
   * one.
   */
  controlRetryMs: 600,
  /** First and longest pause before a replica that left the in-sync set may join again. */
  rejoinMinMs: 1000,
  rejoinMaxMs: 60_000,
  /** First and longest pause between two dials of one peer. */
  redialMinMs: 50,
  redialMaxMs: 1000,
  /**
   * A takeover waits this long for in-sync stores that have not registered, if the primary before it is down (A2.8-11).
   */
  unregisteredGraceMs: 10_000,
  /**
   * A client retries a request this long while there is no primary or too few replicas, then fails it (--io-timeout).
   */
  ioTimeoutMs: 60_000,
  /** A session renews its attachment this often. */
  holderRenewMs: 3000,
  /** When a volume has all the sessions that may share it, one that was not renewed for this long is replaced. */
  holderYieldMs: 10_000,
  /** A session that was not renewed for this long ends: its calls have failed by then. */
  holderSilentMs: 60_000,
  /** An attach with policy `silent` leaves a holder alone that control heard of within this time (A2.11-11). */
  holderHeardMs: 30_000,
  /** A client retries a request that got WAIT after this long at the latest, and at once when the map changes. */
  waitRetryMs: 200,
  /** A request without any response is sent again, with its operation id, after this long. */
  answerTimeoutMs: 5000,
  /**
   * When a request waits this long, the client checks the node whose map it watches, and watches another one if that
   * node sends nothing within the same time again. Both fit in a lease: the watched node may be the one that hangs, and
   * the client has to learn the new primary at once.
   */
  watchTimeoutMs: 450,
  /** A connection is closed if its handshake is not complete after this long. */
  handshakeMs: 5000,
  /** The leader of control's log sends a heartbeat to its followers this often. */
  heartbeatMs: 100,
  /**
   * A follower that receives nothing from a leader for a random time of this range requests votes; a leader that
   * receives nothing from a majority for the lower end steps down. This applies to a leader that hangs: when one dies,
   * its connections close, and followers request votes within three heartbeats.
   */
  electionMinMs: 1000,
  electionMaxMs: 2000,
} as const

/** Greatest rate error of a monotonic clock that leases allow for: 5 %. */
export const CLOCK_DRIFT = 0.05

/** How long control waits after the receipt of a renewal before it declares the lease expired. */
export function leaseExpiryMs(): number {
  return (TIMERS.leaseMs * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT) + TIMERS.leaseSlackMs
}

/**
 * Bytes of one extent in a map-update at most: its record (in-sync and eligible are among its M stores) and a
 * promotion.
 */
function mapExtentBytes(): number {
  return 45 + 2 * 2 * LIMITS.maxReplicas + 27
}

/** Bytes of one holder in a map-update at most. */
const HOLDER_BYTES = 11 + 255 + 8

/**
 * Bytes of one dedupe window in a MARK at most: its head, and each operation that it remembers, twice if it is
 * cancelled.
 */
function windowBytes(): number {
  return 32 + LIMITS.sessionOps * (24 + 8)
}

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`limits contradict each other: ${what}`)
}
holds(LIMITS.pieceBytes >= LIMITS.maxBlockBytes, 'a piece holds a whole block')
holds(LIMITS.discardPieceBlocks <= LIMITS.zeroBlocks, 'a piece of a discard is one operation')
holds(LIMITS.discardPieceBlocks <= LIMITS.discardedBlocksInFlight, 'a piece of a discard fits the window')
holds(LIMITS.pieceBytes + 64 * KIB < LIMITS.frameBytes, 'a piece with its header fits in a frame')
holds(
  LIMITS.mapExtents * mapExtentBytes() + MIB <= LIMITS.frameBytes,
  'the whole map fits in one frame, with the largest M and every promotion forced',
)
holds(LIMITS.sessionWindows >= 2 * LIMITS.holders, 'every holder of a volume has a window, and as many ended sessions')
holds(
  LIMITS.sessionWindows * windowBytes() + MIB <= LIMITS.frameBytes,
  'the windows of an extent fit in a frame, with all their operations unresolved and cancelled',
)
holds(
  LIMITS.mapExtents * (mapExtentBytes() - 27) + (LIMITS.volumes + LIMITS.mapHolders) * HOLDER_BYTES + MIB <=
    LIMITS.frameBytes,
  'the whole map fits in one frame, with the most holders',
)
holds(
  LIMITS.volumes + LIMITS.tombstones + 2 <= 2 * LIMITS.volumes,
  'a delta holds every range of tombstones between volumes, and the single ones',
)
holds(LIMITS.pushWindowBytes >= LIMITS.maxBlockBytes, 'the push window holds a whole block')
holds(LIMITS.stagedPushBytes >= 2 * LIMITS.primaryWindowBytes, 'the staged blocks hold every difference of one replica')
holds(LIMITS.linkHighBytes < LIMITS.linkCutBytes, 'reading from a client stops before its link is cut')
holds(
  LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes >= LIMITS.primaryWindowBytes &&
    LIMITS.clientFirstBytes >= 8 * LIMITS.pieceBytes,
  'a client fills a whole window, and goes on beside extents that are not served',
)
holds(LIMITS.clientInFlightBytes <= LIMITS.linkCutBytes, 'the responses to one client fit on its link')
holds(TIMERS.leaseMs >= 4 * TIMERS.renewMs, 'a lease spans at least four renewals')
holds(
  leaseExpiryMs() >= (TIMERS.leaseMs * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT) + TIMERS.tickMs,
  'control waits longer than a holder whose clock drifts within the limit',
)
holds(TIMERS.silentMs >= 3 * TIMERS.pingMs, 'silence is at least three pings long')
holds(TIMERS.logSlowMs < TIMERS.slowMs, 'a leader on a disk that hangs is replaced before a replica there is slow')
holds(TIMERS.electionMinMs >= 3 * TIMERS.heartbeatMs, 'an election needs at least three missed heartbeats')
holds(TIMERS.electionMaxMs >= 2 * TIMERS.electionMinMs, 'election timeouts are spread, so that votes rarely split')
holds(TIMERS.heartbeatMs >= 2 * TIMERS.tickMs, 'a heartbeat is at least two ticks')
holds(TIMERS.unconnectedMs < TIMERS.silentMs, 'a store without a connection is silent sooner than one with')
holds(
  TIMERS.unconnectedMs >= 3 * TIMERS.redialMinMs,
  'a broken connection is dialed twice before its store counts as silent',
)
holds(TIMERS.holderYieldMs >= 3 * TIMERS.holderRenewMs, 'a session may be replaced only after three missed renewals')
holds(TIMERS.holderHeardMs >= 5 * TIMERS.holderRenewMs, 'a holder counts as silent only after five missed renewals')
holds(TIMERS.holderSilentMs >= TIMERS.ioTimeoutMs, 'a session ends only after its calls have failed')
holds(
  2 * TIMERS.watchTimeoutMs + 2 * TIMERS.tickMs <= TIMERS.leaseMs,
  'a client stops watching a node that hangs before another one serves',
)

// A pause of one node. Each periodic message is due once more before the pause ends, one tick late; a fifth of a lease
// is left for its way and for a busy processor.
const pausedMs = TIMERS.toleratedPauseMs + TIMERS.tickMs
const spareMs = TIMERS.leaseMs / 5
holds(pausedMs > 2 * TIMERS.noticedPauseMs, 'a process notices every pause that it has to tolerate')
holds(TIMERS.noticedPauseMs >= 4 * TIMERS.tickMs, 'a late tick is no pause')
holds(TIMERS.renewMs + pausedMs + spareMs <= TIMERS.leaseMs, 'a node that paused still holds its lease, and renews it')
holds(TIMERS.pingMs + pausedMs + spareMs <= TIMERS.silentMs, 'a peer that paused is not silent')
holds(
  TIMERS.heartbeatMs + pausedMs + spareMs <= TIMERS.electionMinMs,
  'no follower starts an election after a pause of the leader',
)
holds(pausedMs <= TIMERS.controlRetryMs, 'no client of control leaves a leader that paused')
