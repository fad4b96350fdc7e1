/**
 * The state machine's side of snapshots; without it the log grows without bound. A snapshot is written and read in
 * slices, one a tick, because encoding a large state at once would block the event loop.
 */
export interface SnapshotPort {
  /** The state after the last delivered entry; later entries do not change it. */
  take(): SnapshotWriter
  /** Replaces the state by that of a durable snapshot. Later entries come once all of it was read. */
  restore(state: Uint8Array): SnapshotReader
}

export interface SnapshotWriter {
  /** The next slice of the state. Not called again after the `last` one. */
  next(): { readonly bytes: Uint8Array; readonly last: boolean }
}

export interface SnapshotReader {
  /** Reads the next slice. True: it was the last one, and the state is replaced. */
  next(): boolean
}
