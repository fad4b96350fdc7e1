/**
 * What is on in a share of wide seeds. This is the place where a new fault or phase is registered: a line here says its
 * name and in which share of seeds it is on, and one line in a table says what it does: `actions` of
 * faults/wide-faults.ts for a fault, `PHASES` of wide/phases.ts for a phase. Each name draws from a source of its own,
 * so that a new line changes only those seeds in which it is on. A fault that changes what is on a disk by the
 * simulator's own image (`disk.replicas`) also stands in OWN_IMAGE of wide/options.ts: the shipped store, which some
 * seeds have, does not read that.
 */

/** Faults that the nemesis does in wide seeds alone, each in this share of them. */
export const WIDE_FAULTS = {
  /** Reads of one store take up to seconds for a while. */
  'slow-reads': 0.4,
  /** A node is down for long, is declared lost, and comes back. */
  'lose-node': 0.25,
  /** A store gets an extent by force, since all that counted are down. */
  'force-primary': 0.12,
  /** A store reads all that it holds. */
  scrub: 0.3,
  /** A replica fails while control is asked to add it. */
  'fail-addition': 0.35,
  /** A client attaches just when another voter leads, which a primary cannot reach. */
  'attach-at-new-leader': 0.35,
  /** A store is put back to an older copy of itself. */
  'store-back': 0.3,
  /** The control log of a voter is, and what lies beside it is not. */
  'control-back': 0.3,
  /** All of a node's directory is, or a second process runs over a copy of it. */
  'directory-back': 0.3,
  /** What a client sent over a connection comes seconds after it has gone on over another one. */
  'late-requests': 0.4,
  /** A machine is suspended, and its monotonic clock with it. */
  suspend: 0.3,
  /** A wall clock is set, forward or back. */
  'set-wall-clock': 0.2,
  /** Another build is installed on a node: where two are side by side, which draws for itself (wide/options.ts). */
  'change-build': 0,
} as const

/** What comes between the time of faults and the mending, each in this share of wide seeds, in this order. */
export const WIDE_PHASES = {
  /** Exactly one thing stays broken, and the rest has to serve. */
  'lasting-fault': 0.4,
  /** A store loses its last writes without a sign. */
  'lost-tail': 0.3,
  /** A CANCEL of a client is pending while nothing commits, and the write comes when a later one is acknowledged. */
  'owed-cancel': 0.3,
  /** Versions of a store do not match their digests any more, which it finds when it reads them. */
  'lost-versions': 0.3,
} as const

export type WideFaultName = keyof typeof WIDE_FAULTS
export type WidePhaseName = keyof typeof WIDE_PHASES
