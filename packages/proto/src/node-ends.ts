/**
 * Why a node ends by its own decision, each with the exit code of `ashlar server run`. Append-only: kinds travel in
 * `ending` and stay in control's log, and supervisors know the codes.
 */
export const NODE_ENDS = {
  /** A fault of this software, or an end for a reason without a row here: the last line of its log says which. */
  internal: { exit: 1 },
  /** A write to its store failed. The next start compares the store with its peers. */
  'store-failed': { exit: 20 },
  /** Its disk is full: a write to its store failed for that, or the store could not be opened. */
  'disk-full': { exit: 21 },
  /** Its store is suspect: too many repairs, or versions that do not match their digest. The next start is compared. */
  'store-suspect': { exit: 22 },
  /** Its control log, or the identity of its store, could not be written. */
  'log-failed': { exit: 23 },
  /** Its map is newer than control's, whose log was rolled back: a start gets the map again. */
  'map-ahead': { exit: 24 },
  /** Its data directory belongs to another cluster than its peers. */
  'other-cluster': { exit: 25 },
  /** Its control log is an old copy, and no other store has what it lacks. */
  'old-copy': { exit: 26 },
  /** Its data directory cannot be used: in use by another process, damaged, of another format, or with foreign files. */
  'data-directory': { exit: 27 },
} as const satisfies Record<string, { readonly exit: number }>

export type NodeEndKind = keyof typeof NODE_ENDS

/** Undefined for a kind that this build does not know. */
export function nodeEndKindOf(word: string): NodeEndKind | undefined {
  return Object.hasOwn(NODE_ENDS, word) ? (word as NodeEndKind) : undefined
}

/** What a node reported before it ended (A2.23). */
export interface NodeEnd {
  /** Start counter of the incarnation that ended. */
  readonly counter: number
  /** One of NODE_ENDS, or one that a later build knows. */
  readonly kind: string
  readonly reason: string
  /** Milliseconds since 1970 by its own clock. */
  readonly at: number
}
