/**
 * The state machine's side of snapshots. Without it the log grows for ever, and nobody installs one. Both ways go slice by
 * slice, one slice a tick, because a large state takes longer to encode than an event loop may be held up.
 */
export interface SnapshotPort {
  /** The state after the last entry that was handed over; what is handed over later does not change it. */
  take(): SnapshotWriter
  /** Replaces the state by that of a snapshot, which is durable here. Entries that follow it come once all of it is read. */
  restore(state: Uint8Array): SnapshotReader
}

export interface SnapshotWriter {
  /** The next slice of the state; `last`: the state is whole with it. Not called again after the last one. */
  next(): { readonly bytes: Uint8Array; readonly last: boolean }
}

export interface SnapshotReader {
  /** Reads the next slice. True: that was the last one, and the state is in its place. */
  next(): boolean
}
