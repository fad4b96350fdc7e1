import { invariant } from '@ashlar/proto'
import type { SnapshotPort, SnapshotReader, SnapshotWriter } from '../control/log/index.ts'
import type { RaftLog } from './log.ts'
import type { RaftOptions } from './options.ts'
import type { Snapshot } from './stored.ts'

/** A snapshot in the making: of one moment, gathered slice by slice. */
interface Taking {
  readonly about: Omit<Snapshot, 'state'>
  readonly writer: SnapshotWriter
  readonly slices: Uint8Array[]
}

/**
 * Takes a snapshot of the state machine when the log has grown, and drops the entries that it covers. Restores the state
 * machine from a snapshot that the leader sent or that was on disk at the start. Both work in slices: the first at once,
 * then one a tick.
 */
export class Snapshots {
  private readonly log: RaftLog
  private readonly options: RaftOptions
  private readonly port: SnapshotPort | undefined
  /** Bytes of the entries that were handed over since the last snapshot was begun. */
  private bytes = 0
  private taking: Taking | undefined
  private restoring: { readonly snapshot: Snapshot; readonly reader: SnapshotReader } | undefined

  constructor(log: RaftLog, options: RaftOptions, port: SnapshotPort | undefined) {
    this.log = log
    this.options = options
    this.port = port
  }

  onTick(): void {
    if (this.taking !== undefined) this.takeSlice(this.taking)
    if (this.restoring !== undefined) this.restoreSlice(this.restoring)
  }

  handedOver(index: number): void {
    this.bytes += this.log.bytesOf(index)
  }

  // ---- taking ------------------------------------------------------------------------------------------------------

  /** Begins a snapshot when the log has grown. */
  compact(): void {
    const log = this.log
    if (this.port === undefined || this.taking !== undefined || log.restoring || !this.hasGrown()) return
    const index = log.applied
    const term = log.termAt(index)
    invariant(term !== undefined, `entry ${index} was handed over and is gone`)
    this.bytes = 0
    this.taking = {
      about: { index, term, members: log.membersAt(index) },
      writer: this.port.take(),
      slices: [],
    }
    this.takeSlice(this.taking)
  }

  private hasGrown(): boolean {
    const { snapshot, applied } = this.log
    const { snapshotEntries, snapshotBytes } = this.options
    if (applied - (snapshot?.index ?? 0) >= snapshotEntries) return true
    return this.bytes >= Math.max(snapshotBytes, snapshot?.state.length ?? 0)
  }

  /** Forgets what a whole snapshot covers, but for what followers that lag a little may still lack. */
  private takeSlice({ about, writer, slices }: Taking): void {
    const log = this.log
    // A newer one came from the leader meanwhile.
    if (about.index <= (log.snapshot?.index ?? 0)) {
      this.taking = undefined
      return
    }
    const { bytes, last } = writer.next()
    slices.push(bytes)
    if (!last) return
    this.taking = undefined
    log.takeSnapshot({ ...about, state: joined(slices) })
    log.compact(about.index - this.options.trailingEntries)
  }

  // ---- restoring ---------------------------------------------------------------------------------------------------

  /** Begins to read a snapshot that is durable here, unless that is on its way. */
  beginRestore(): void {
    const { restoring, snapshot, stable } = this.log
    if (!restoring || snapshot === undefined || stable < snapshot.index) return
    if (this.restoring?.snapshot === snapshot) return
    invariant(this.port !== undefined, 'there is a snapshot, and nothing that could restore it')
    this.restoring = { snapshot, reader: this.port.restore(snapshot.state) }
    this.restoreSlice(this.restoring)
  }

  private restoreSlice({ snapshot, reader }: { readonly snapshot: Snapshot; readonly reader: SnapshotReader }): void {
    const log = this.log
    if (log.snapshot !== snapshot) {
      this.restoring = undefined
      return
    }
    if (!reader.next()) return
    this.restoring = undefined
    log.applied = snapshot.index
    log.restoring = false
    this.bytes = 0
  }
}

function joined(slices: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0))
  let offset = 0
  for (const slice of slices) {
    whole.set(slice, offset)
    offset += slice.length
  }
  return whole
}
