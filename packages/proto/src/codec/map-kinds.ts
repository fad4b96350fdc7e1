import {
  type AdminDone,
  type ChangeSets,
  LIMITS,
  type MapUpdate,
  type Release,
  type SetChange,
  type SetsChanged,
  WIRE_VERSION,
} from '@ashlar/proto'
import {
  codeField,
  counterField,
  cutText,
  epochField,
  extentField,
  flagBits,
  listLength,
  readStore,
  requestField,
  revisionField,
  textField,
  writeUuid,
} from './fields.ts'
import type { KindCodec } from './kind-codec.ts'
import { readList, sum } from './lists.ts'
import { deltaBytes, isLarge, largeDelta, readDelta, TABLE_BYTES, writeDelta } from './map-delta.ts'
import {
  choiceAt,
  choiceIndex,
  extentBytes,
  readExtent,
  readVolume,
  StoreList,
  textBytes,
  volumeBytes,
  writeExtent,
  writeNaming,
  writeVolume,
} from './map-records.ts'

/*
 * Control messages that carry tables of the map. They are binary because one of them may name every extent of a cluster
 * (LIMITS.mapExtents), which no msgpack body of LIMITS.controlBytes could hold. Records as in map-records.ts.
 *
 * map-update     a delta: map-delta.ts
 * change-sets    request 8 | store 16 | counter 8 | stores | count 4 x (extent 8 | revision 8 | epoch 8 | set)
 * sets-changed   request 8 | stores | count 4 x (extent 8 | code 2 | flags 1 (1: record) | [extent record])
 * release        request 8 | store 16 | counter 8 | reason 1 | count 4 x (extent 8 | epoch 8 | [since 3: revision 8, 0: none])
 * admin-done     request 8 | code 2 | message text | hint text | flags 1 (1: volume) | [volume] | revision 8
 */

export const MESSAGE_LENGTH = 1024
const HAS_RECORD = 1
/** Append-only: the place is what travels. */
const RELEASE_REASONS: readonly Release['reason'][] = ['shutdown', 'slow', 'behind', 'poisoned']
const mapUpdateKind: KindCodec<MapUpdate> = {
  headBytes: ({ delta }) => (isLarge(delta) ? largeDelta(delta, WIRE_VERSION).length : deltaBytes(delta)),
  writeHead(to, { delta }, wire) {
    if (isLarge(delta)) to.raw(largeDelta(delta, wire))
    else writeDelta(to, delta, wire)
  },
  read: (from, _payload, wire) => ({ type: 'map-update', delta: readDelta(from, wire) }),
}

function changesBytes({ changes }: ChangeSets): number {
  return sum(changes, ({ inSync, complete = [] }) => 26 + 2 * (inSync.length + complete.length))
}

const changeSetsKind: KindCodec<ChangeSets> = {
  headBytes: (m) => 36 + TABLE_BYTES + changesBytes(m),
  writeHead(to, m, wire) {
    to.u53(requestField(m.request))
    writeUuid(to, m.store)
    to.u53(counterField(m.counter))
    writeNaming(to, 4 + changesBytes(m), (naming, table) => {
      naming.u32(listLength(m.changes, LIMITS.mapExtents, 'changes'))
      for (const change of m.changes) {
        naming.u53(extentField(change.extent))
        naming.u53(revisionField(change.revision))
        naming.u53(epochField(change.epoch))
        table.writeSet(naming, change.inSync)
        if (wire >= 3) table.writeSet(naming, change.complete ?? [])
      }
    })
  },
  read(from, _payload, wire) {
    const request = requestField(from.u53())
    const store = readStore(from)
    const counter = counterField(from.u53())
    const stores = new StoreList(from)
    const changes = readList<SetChange>(from, from.u32(), 25, LIMITS.mapExtents, 'changes', () => {
      const [extent, revision, epoch] = [extentField(from.u53()), revisionField(from.u53()), epochField(from.u53())]
      const [inSync, complete] = [stores.readSet(from), wire >= 3 ? stores.readSet(from) : []]
      return { extent, revision, epoch, inSync, ...(complete.length === 0 ? {} : { complete }) }
    })
    return { type: 'change-sets', request, store, counter, changes }
  },
}

type SetResult = SetsChanged['results'][number]

function resultsBytes({ results }: SetsChanged): number {
  return sum(results, ({ record }) => 11 + (record === undefined ? 0 : extentBytes(record)))
}

const setsChangedKind: KindCodec<SetsChanged> = {
  headBytes: (m) => 12 + TABLE_BYTES + resultsBytes(m),
  writeHead(to, m) {
    to.u53(requestField(m.request))
    writeNaming(to, 4 + resultsBytes(m), (naming, table) => {
      naming.u32(listLength(m.results, LIMITS.mapExtents, 'results'))
      for (const result of m.results) {
        naming.u53(extentField(result.extent))
        naming.u16(codeField(result.code))
        naming.u8(result.record === undefined ? 0 : HAS_RECORD)
        if (result.record !== undefined) writeExtent(naming, table, result.record)
      }
    })
  },
  read(from) {
    const request = requestField(from.u53())
    const stores = new StoreList(from)
    const results = readList<SetResult>(from, from.u32(), 11, LIMITS.mapExtents, 'results', () => {
      const extent = extentField(from.u53())
      const code = from.u16()
      const flags = flagBits(from.u8(), HAS_RECORD)
      return flags === 0 ? { extent, code } : { extent, code, record: readExtent(from, stores) }
    })
    return { type: 'sets-changed', request, results }
  },
}

const releaseKind: KindCodec<Release> = {
  headBytes: (m) => 37 + 24 * m.extents.length,
  writeHead(to, m, wire) {
    to.u53(requestField(m.request))
    writeUuid(to, m.store)
    to.u53(counterField(m.counter))
    to.u8(choiceIndex(RELEASE_REASONS, m.reason, 'reason'))
    to.u32(listLength(m.extents, LIMITS.mapExtents, 'extents'))
    for (const { extent, epoch, revision = 0 } of m.extents) {
      to.u53(extentField(extent))
      to.u53(epochField(epoch))
      if (wire >= 3) to.u53(revisionField(revision))
    }
  },
  read(from, _payload, wire) {
    const [request, store, counter] = [requestField(from.u53()), readStore(from), counterField(from.u53())]
    const reason = choiceAt(RELEASE_REASONS, from.u8(), 'reason')
    const bytes = wire >= 3 ? 24 : 16
    const extents = readList<Release['extents'][number]>(from, from.u32(), bytes, LIMITS.mapExtents, 'extents', () => {
      const [extent, epoch] = [extentField(from.u53()), epochField(from.u53())]
      const revision = wire >= 3 ? revisionField(from.u53()) : 0
      return { extent, epoch, ...(revision === 0 ? {} : { revision }) }
    })
    return { type: 'release', request, store, counter, extents, reason }
  },
}

const adminDoneKind: KindCodec<AdminDone> = {
  headBytes: (m) =>
    19 +
    textBytes(m.message, MESSAGE_LENGTH) +
    textBytes(m.hint, MESSAGE_LENGTH) +
    (m.volume === undefined ? 0 : volumeBytes(m.volume)),
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u16(codeField(m.code))
    to.text(cutText(m.message, 'message', MESSAGE_LENGTH))
    to.text(cutText(m.hint, 'hint', MESSAGE_LENGTH))
    to.u8(m.volume === undefined ? 0 : HAS_RECORD)
    if (m.volume !== undefined) writeVolume(to, m.volume)
    to.u53(revisionField(m.revision))
  },
  read(from) {
    const request = requestField(from.u53())
    const code = from.u16()
    const message = textField(from.text(), 'message', MESSAGE_LENGTH)
    const hint = textField(from.text(), 'hint', MESSAGE_LENGTH)
    const volume = flagBits(from.u8(), HAS_RECORD) === 0 ? undefined : readVolume(from)
    const revision = revisionField(from.u53())
    const fixed = { type: 'admin-done', request, code, message, hint } as const
    return volume === undefined ? { ...fixed, revision } : { ...fixed, volume, revision }
  },
}

export const MAP_KINDS = {
  'map-update': mapUpdateKind,
  'change-sets': changeSetsKind,
  'sets-changed': setsChangedKind,
  release: releaseKind,
  'admin-done': adminDoneKind,
}
