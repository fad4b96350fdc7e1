import { invariant } from '@ashlar/proto'
import type { SnapshotPort, SnapshotReader, SnapshotWriter } from '../log/index.ts'
import { PlainReader, PlainWriter } from './binary-encoding.ts'
import type { MapHead, MapRow, MapRows, MapSection } from './map-rows.ts'
import { MapState } from './map-state.ts'

const FORMAT = 1
/** Rows of one slice: a few milliseconds of one core, so that an event loop is not blocked for 50 ms. */
const SLICE_ROWS = 2048

/** Lets the log take and restore snapshots of the map. */
export function mapSnapshots(map: {
  readonly current: () => MapState
  readonly replace: (state: MapState) => void
}): SnapshotPort {
  return {
    take: () => new MapSnapshotWriter(map.current()),
    restore: (bytes) => new MapSnapshotReader(bytes, map.replace),
  }
}

/** Cluster generation of a snapshot (amendment 16); 0 for an unknown format. */
export function generationOfSnapshot(bytes: Uint8Array): number {
  const reader = new PlainReader(bytes)
  if (reader.atEnd || reader.read() !== FORMAT) return 0
  const [section, head] = [reader.read() as MapSection, reader.read()]
  return section === 'head' ? (head as MapHead).clusterGeneration : 0
}

/**
 * Writes the map in slices: the number of the format, then rows of (section, value). It writes the state at the moment
 * of construction, since records are never changed in place.
 */
export class MapSnapshotWriter implements SnapshotWriter {
  private readonly sections: readonly MapRows[]
  private readonly writer = new PlainWriter()
  private section = 0
  private row = 0

  constructor(state: MapState) {
    this.sections = state.rows()
    this.writer.write(FORMAT)
  }

  next(): { readonly bytes: Uint8Array; readonly last: boolean } {
    for (let left = SLICE_ROWS; left > 0; left--) {
      const section = this.sections[this.section]
      if (section === undefined) break
      if (this.row < section.values.length) {
        this.writer.write(section.section)
        this.writer.write(section.values[this.row++])
      } else {
        this.section++
        this.row = 0
      }
    }
    return { bytes: this.writer.take(), last: this.section === this.sections.length }
  }
}

/** Builds a new map from the bytes, in slices. */
export class MapSnapshotReader implements SnapshotReader {
  private readonly state = new MapState()
  private readonly reader: PlainReader
  private readonly done: (state: MapState) => void

  /** `done` gets the whole map within the last call of `next`. */
  constructor(bytes: Uint8Array, done: (state: MapState) => void) {
    this.reader = new PlainReader(bytes)
    this.done = done
    const format = this.reader.read()
    invariant(format === FORMAT, `a snapshot of the map has format ${format}; this version reads format ${FORMAT}`)
  }

  next(): boolean {
    for (let left = SLICE_ROWS; left > 0 && !this.reader.atEnd; left--) {
      const section = this.reader.read() as MapSection
      this.state.load([section, this.reader.read()] as MapRow)
    }
    if (!this.reader.atEnd) return false
    this.done(this.state)
    return true
  }
}
