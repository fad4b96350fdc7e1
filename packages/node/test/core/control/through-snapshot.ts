import assert from 'node:assert/strict'
import type { MapState } from '../../../src/core/control/index.ts'
import { MapSnapshotReader, MapSnapshotWriter } from '../../../src/core/control/map/map-snapshot.ts'

/** The bytes of a snapshot of the map, slice after slice. */
export function snapshotSlices(state: MapState): Uint8Array[] {
  const writer = new MapSnapshotWriter(state)
  const slices: Uint8Array[] = []
  for (;;) {
    const { bytes, last } = writer.next()
    slices.push(bytes)
    if (last) return slices
  }
}

/** The map that a snapshot of this one gives. */
export function throughSnapshot(state: MapState): MapState {
  return fromSnapshot(Buffer.concat(snapshotSlices(state)))
}

export function fromSnapshot(bytes: Uint8Array): MapState {
  let restored: MapState | undefined
  const reader = new MapSnapshotReader(bytes, (whole) => {
    restored = whole
  })
  while (!reader.next()) assert.equal(restored, undefined, 'no part of a map is ever seen')
  assert.ok(restored !== undefined)
  return restored
}

/** What a map keeps to find its content by, and to stamp it. */
const PRIVATE = new Set('currentRevision changing raised volumeByName extentsLedBy extentsAssignedTo recent'.split(' '))

/** The content of the map by the name of the field. */
export function fieldsOf(state: MapState): [name: string, value: unknown][] {
  return Object.entries(state).filter(([name]) => !PRIVATE.has(name))
}

/** Every field of the map, in the order of its content: one that a snapshot leaves out is different afterwards. */
export function everything(state: MapState): Record<string, unknown> {
  const fields = fieldsOf(state).map(([name, value]) => [name, isIterable(value) ? [...value] : value])
  return { ...Object.fromEntries(fields), revision: state.revision }
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
