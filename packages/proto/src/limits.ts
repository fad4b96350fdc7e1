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
  /** Largest WebSocket message anyone sends or accepts, bytes (amendment 19). */
  frameBytes: 10 * MIB,
  /** Largest msgpack body of a control message, bytes: decoding is bounded before it starts (finding 14). */
  controlBytes: MIB,
  /** Most records that share one frame. */
  frameRecords: 4096,
  /** Blocks under one leaf of the digest tree (amendment 10). */
  leafBlocks: 256,
  /** Bytes of PUSH on their way to one joining replica (amendment 5). */
  pushWindowBytes: MIB,
  /** Bytes of client writes that one extent's primary has given a seq and not yet committed. */
  primaryWindowBytes: 32 * MIB,
  /** Operations in the same window. */
  primaryWindowOps: 1024,
  /** Reads that one extent's primary is serving at once. */
  primaryReads: 1024,
  /** Bytes of requests that one client has on its way, all volumes together. */
  clientInFlightBytes: 64 * MIB,
  /** Operations of one session that may be unresolved: bounds every dedupe window (amendment 13). */
  sessionOps: 1024,
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
  /** Extents of a cluster, all volumes together: the whole map fits in one map-update, and so in one frame. */
  mapExtents: 100_000,
  /** Sessions that hold one volume at once (mode shared). */
  holders: 64,
  /** Entries and bytes of control's log that its leader has proposed and nobody committed: more are refused. */
  uncommittedEntries: 1024,
  uncommittedBytes: 16 * MIB,
} as const

/** Timers in milliseconds, with protocol.md A2.15 as the start. */
export const TIMERS = {
  /** The pump's tick: resolution of every timer inside a machine. */
  tickMs: 50,
  /** A node renews its lease this often. */
  renewMs: 500,
  /** A node holds its lease this long from the moment that it sent the renewal that was answered. */
  leaseMs: 3000,
  /** Control's count of a lease adds 2 * drift * lease and this slack, from receipt. */
  leaseSlackMs: 500,
  /** Peers of one extent ping over an idle link this often. */
  pingMs: 500,
  /** A peer that sent no frame for this long is silent (amendment 18). */
  silentMs: 2000,
  /** A peer that sends frames but no acknowledgement for this long is slow. */
  slowMs: 5000,
  /** A stream that is not opened by then is opened again. */
  openTimeoutMs: 2000,
  /** An unanswered compare-and-set or control request is sent again. */
  controlRetryMs: 1000,
  /** First and longest pause before a replica that was taken out is let in again. */
  rejoinMinMs: 1000,
  rejoinMaxMs: 60_000,
  /** First and longest pause between two dials of one peer. */
  redialMinMs: 50,
  redialMaxMs: 1000,
  /** A takeover without a live primary before it gives in-sync stores that have not registered this long (amendment 11). */
  unregisteredGraceMs: 10_000,
  /** A client holds a request this long while there is no primary or too few replicas, then fails it (--io-timeout). */
  ioTimeoutMs: 60_000,
  /** A client retries a request that was told WAIT at the latest after this long, at once when the map changes. */
  waitRetryMs: 200,
  /** A request that got no answer at all is sent again, with its operation id, after this long. */
  answerTimeoutMs: 5000,
  /** The handshake of a connection must be over by then. */
  handshakeMs: 5000,
  /** The leader of control's log lets its followers hear from it this often. */
  heartbeatMs: 100,
  /** A follower that hears no leader for a time drawn from this range asks for votes; a leader that hears no majority for the lower end steps down. */
  electionMinMs: 700,
  electionMaxMs: 1400,
} as const

/** Greatest rate error of a monotonic clock that leases allow for: 1 %. */
export const CLOCK_DRIFT = 0.01

/** How long control waits from the receipt of a renewal before it says that the lease ran out. */
export function leaseExpiryMs(): number {
  return TIMERS.leaseMs * (1 + 2 * CLOCK_DRIFT) + TIMERS.leaseSlackMs
}

/** Bytes of one extent in a map-update at most: its record (in-sync and eligible stores are among its M), and how it was forced. */
function mapExtentBytes(): number {
  return 45 + 2 * 2 * LIMITS.maxReplicas + 27
}

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`limits contradict each other: ${what}`)
}
holds(LIMITS.pieceBytes >= LIMITS.maxBlockBytes, 'a piece holds a whole block')
holds(LIMITS.pieceBytes + 64 * KIB < LIMITS.frameBytes, 'a piece with its header fits in a frame')
holds(
  LIMITS.mapExtents * mapExtentBytes() + MIB <= LIMITS.frameBytes,
  'the whole map fits in one frame, with M at its largest and every primary named by force',
)
holds(LIMITS.pushWindowBytes >= LIMITS.maxBlockBytes, 'the push window holds a whole block')
holds(LIMITS.linkHighBytes < LIMITS.linkCutBytes, 'a client is held back before its link is cut')
holds(LIMITS.clientInFlightBytes <= LIMITS.linkCutBytes, 'the answers to one client fit on its link')
holds(TIMERS.leaseMs >= 4 * TIMERS.renewMs, 'a lease spans at least four renewals')
holds(
  leaseExpiryMs() >= (TIMERS.leaseMs * (1 + CLOCK_DRIFT)) / (1 - CLOCK_DRIFT),
  'control waits longer than any holder whose clock is within the drift counts',
)
holds(TIMERS.silentMs >= 3 * TIMERS.pingMs, 'silence is at least three pings long')
holds(TIMERS.electionMinMs >= 3 * TIMERS.heartbeatMs, 'an election needs at least three missed heartbeats')
holds(TIMERS.electionMaxMs >= 2 * TIMERS.electionMinMs, 'election timeouts are spread, so that votes rarely split')
holds(TIMERS.heartbeatMs >= 2 * TIMERS.tickMs, 'a heartbeat is at least two ticks')
holds(TIMERS.electionMaxMs < TIMERS.leaseMs, 'control has a new leader before leases run out')
