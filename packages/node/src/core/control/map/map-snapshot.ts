import { invariant } from '@ashlar/proto'
import type { SnapshotPort, SnapshotReader, SnapshotWriter } from '../log/index.ts'
import { PlainReader, PlainWriter } from './binary-encoding.ts'
import type { MapHead, MapRow, MapRows, MapSection } from './map-rows.ts'
import { MapState } from './map-state.ts'

const FORMAT = 1
/** Rows of one slice: a few milliseconds of one core, so that neither end holds an event loop up for 50 ms. */
const SLICE_ROWS = 2048

/** How the log takes snapshots of the map that its entries make, and puts one in its place. */
export function mapSnapshots(map: {
  readonly current: () => MapState
  readonly replace: (state: MapState) => void
}): SnapshotPort {
  return {
    take: () => new MapSnapshotWriter(map.current()),
    restore: (bytes) => new MapSnapshotReader(bytes, map.replace),
  }
}

/** Cluster generation of the map that these bytes hold, which its log began with (amendment 16). 0: of a format that nobody knows. */
export function generationOfSnapshot(bytes: Uint8Array): number {
  const reader = new PlainReader(bytes)
  if (reader.atEnd || reader.read() !== FORMAT) return 0
  const [section, head] = [reader.read() as MapSection, reader.read()]
  return section === 'head' ? (head as MapHead).clusterGeneration : 0
}

/**
 * The map as bytes, a slice at a time: the number of the format, then rows of (section, value). What is written is the
 * state at the moment of construction, whatever is applied meanwhile: records are never changed in place.
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

/** Builds a map of its own from the bytes, a slice at a time. */
export class MapSnapshotReader implements SnapshotReader {
  private readonly state = new MapState()
  private readonly reader: PlainReader
  private readonly done: (state: MapState) => void

  /** `done` is called with the whole map, from the call of `next` that reads the last of it. */
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
