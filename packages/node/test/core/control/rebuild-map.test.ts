import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Epoch,
  type ExtentId,
  epochOf,
  extentId,
  LIMITS,
  NO_INCARNATION,
  type Seq,
  type StoreId,
  type VolumeId,
} from '@ashlar/proto'
import {
  applyCommand,
  explainWaiting,
  MapState,
  rebuildMap,
  recoverCommands,
  type SurvivingStore,
} from '../../../src/core/control/index.ts'
import type { Head, HeadRecord } from '../../../src/core/machine.ts'
import { address, assertInvariants, found, incarnation, store } from './kit.ts'

const VOLUME = 3 as VolumeId
const SIZE = LIMITS.minExtentBytes
const stores = (...numbers: number[]) => numbers.map(store) as StoreId[]

function headRecord(changes: Partial<HeadRecord> = {}): HeadRecord {
  return {
    ...{ revision: 4, epoch: epochOf(0, 2), primary: store(1), inSync: stores(1, 2, 3), eligible: [] },
    ...{ assigned: stores(1, 2, 3), minInSync: 2, blockSizeBytes: 4096, lengthBytes: SIZE, volumeName: 'disk' },
    ...changes,
  }
}

function head(lastSeq: number, record: HeadRecord, changes: Partial<Head> = {}): Head {
  return {
    ...{ promised: record.epoch, led: 0 as Epoch, lastEpoch: record.epoch, lastSeq: lastSeq as Seq },
    ...{ commitSeq: 0 as Seq, generation: 5, record },
    ...changes,
  }
}

function surviving(n: number, heads: Readonly<Record<number, Head>>): SurvivingStore {
  return {
    store: store(n),
    startCounter: 7,
    voters: [1, 2, 3].map((v) => ({ store: store(v), address: address(v) })),
    replicas: Object.entries(heads).map(([index, it]) => ({ extent: extentId(VOLUME, Number(index)), head: it })),
    volumes: [{ volume: VOLUME, name: 'disk', longestExtentBytes: SIZE, replicas: 3 }],
  }
}

/** The map after the log that the rebuilt one makes. */
function applied(given: readonly SurvivingStore[]): MapState {
  const state = new MapState()
  applyCommand(state, found())
  for (const command of recoverCommands(rebuildMap(given))) assert.equal(applyCommand(state, command).code, 'OK')
  assertInvariants(state)
  return state
}

const EXTENT: ExtentId = extentId(VOLUME, 0)
const register = (state: MapState, n: number, live: number[], counter = 8) =>
  applyCommand(state, {
    ...{ do: 'register', store: store(n), name: `n${n}` as never, address: address(n), api: '' },
    ...{ incarnation: incarnation(counter), trust: 'trusted', live: live.map(store) },
  })

describe('amendment 16: a map rebuilt from extent heads', () => {
  it('is certain of an extent if all stores that may hold an acknowledged write are given, and fences older epochs', () => {
    const record = headRecord({ inSync: stores(1, 2) })
    const given = [surviving(1, { 0: head(9, record) }), surviving(2, { 0: head(9, record) })]
    const { generation, extents } = rebuildMap(given)
    assert.deepEqual([generation, extents.map(({ certainty }) => certainty)], [1, ['certain']])
    const state = applied(given)
    const rebuilt = state.extents.get(EXTENT) ?? assert.fail('the extent is there')
    assert.deepEqual([rebuilt.inSync, rebuilt.epoch, rebuilt.revision], [stores(1, 2), epochOf(1, 1), 5])
    assert.equal(state.forced.size, 0)
    assert.ok(state.revision > 2 ** 32, 'a client that knew the map before takes this one for newer')
    assert.equal(register(state, 1, []).code, 'OK')
    const after = state.extents.get(EXTENT)
    assert.deepEqual([after?.primary, after?.epoch], [{ store: store(1), counter: 8 }, epochOf(1, 2)])
  })

  it('takes the record of the highest generation and revision of any store', () => {
    const old = headRecord({ revision: 90, epoch: epochOf(0, 9), inSync: stores(1, 2, 3) })
    const newer = headRecord({ revision: 2, epoch: epochOf(1, 1), inSync: stores(2) })
    const { generation, extents } = rebuildMap([surviving(1, { 0: head(9, old) }), surviving(2, { 0: head(9, newer) })])
    assert.equal(generation, 2)
    assert.deepEqual(extents[0]?.record.inSync, stores(2))
    assert.equal(extents[0]?.certainty, 'certain')
  })

  it('amendment 11: is suspect of an extent if each store that counts may have lost acknowledged writes', () => {
    const record = headRecord({ inSync: stores(1, 2) })
    const given = (...suspect: number[]) =>
      [1, 2, 3].map((n): SurvivingStore => {
        const survivor = surviving(n, { 0: head(9, record) })
        return { ...survivor, replicas: survivor.replicas.map((it) => ({ ...it, suspect: suspect.includes(n) })) }
      })
    assert.equal(rebuildMap(given(1)).extents[0]?.certainty, 'certain')
    const [extent] = rebuildMap(given(1, 2)).extents
    assert.deepEqual([extent?.certainty, extent?.record.inSync], ['suspect', stores(1, 2)])
    assert.equal(applied(given(1, 2)).forced.size, 0, 'no new timeline begins: control reconciles the suspect stores')
    const absent = rebuildMap(given(2).slice(1)).extents[0]
    assert.deepEqual([absent?.certainty, absent?.record.inSync], ['uncertain', stores(2)], 'the third was not in sync')
  })

  it('is uncertain if a member is absent: the most advanced replica begins a new timeline, and the volume is marked', () => {
    const record = headRecord()
    const given = [
      surviving(2, { 0: head(9, record) }),
      surviving(3, { 0: head(11, record, { lastEpoch: epochOf(0, 2) }) }),
    ]
    const [extent] = rebuildMap(given).extents
    assert.deepEqual([extent?.certainty, extent?.absent, extent?.record.inSync], ['uncertain', stores(1), stores(3)])
    const state = applied(given)
    assert.deepEqual(state.forced.get(EXTENT)?.epoch, epochOf(1, 1))
    register(state, 3, [])
    assert.equal(state.extents.get(EXTENT)?.primary.store, store(3))
    assert.ok((state.extents.get(EXTENT)?.epoch ?? 0) > epochOf(1, 1))
  })

  it('has a record for a missing extent, which waits for an operator', () => {
    const record = headRecord()
    const given = [1, 2, 3].map((n) => surviving(n, { 0: head(9, record), 2: head(1, record) }))
    const { extents } = rebuildMap(given)
    assert.deepEqual(
      extents.map(({ certainty }) => certainty),
      ['certain', 'missing', 'certain'],
    )
    const state = applied(given)
    for (const n of [1, 2, 3]) register(state, n, [1, 2, 3])
    const lost = state.extents.get(extentId(VOLUME, 1)) ?? assert.fail('it has a record')
    assert.equal(lost.primary.counter, NO_INCARNATION)
    assert.match(explainWaiting(state, lost).reason, /^none of its stores was among the directories .* force a primary/)
  })

  it('lets an operator force a primary of a missing extent, also the store that its record names', () => {
    const record = headRecord()
    const state = applied([1, 2, 3].map((n) => surviving(n, { 0: head(9, record), 2: head(1, record) })))
    for (const n of [1, 2, 3]) register(state, n, [1, 2, 3])
    const extent = extentId(VOLUME, 1)
    applyCommand(state, { do: 'acknowledge-loss', name: 'disk' })
    const named = state.extents.get(extent)?.primary.store ?? assert.fail('it has a record')
    const command = { do: 'force-primary', extent, store: named, live: stores(1, 2, 3) } as const
    assert.equal(applyCommand(state, command).code, 'OK')
    const forced = state.extents.get(extent)
    assert.deepEqual([forced?.primary, forced?.epoch], [{ store: named, counter: 8 }, epochOf(1, 2)])
    assert.deepEqual(state.forced.get(extent)?.acknowledged, false, 'the warning begins with the promotion')
    assertInvariants(state)
  })

  it('gives a missing extent the replicas of its volume, also if fewer directories are left', () => {
    const record = headRecord({ inSync: stores(1), assigned: stores(1, 2, 3) })
    const elsewhere = headRecord({ inSync: stores(4), assigned: stores(4, 5, 6) })
    const state = applied([surviving(1, { 0: head(9, record), 1: head(9, elsewhere), 3: head(1, record) })])
    register(state, 1, [])
    const assigned = [1, 2].map((index) => state.extents.get(extentId(VOLUME, index))?.assigned)
    assert.deepEqual(assigned, [stores(1, 4, 5), stores(1, 2, 3)])
    applyCommand(state, { do: 'lose-store', store: store(2), live: stores(1) })
    register(state, 7, [1], 1)
    assert.deepEqual(state.extents.get(extentId(VOLUME, 2))?.assigned, stores(1, 7, 3), 'another one takes its place')
  })

  it('keeps names, sizes and generations of volumes, and does not reuse their numbers', () => {
    const record = headRecord()
    const short = headRecord({ lengthBytes: 8192 })
    const state = applied([1, 2, 3].map((n) => surviving(n, { 0: head(9, record), 1: head(1, short) })))
    const { changedAt, ...volume } = state.volumes.get(VOLUME) ?? assert.fail('the volume is there')
    assert.ok(changedAt > 0)
    assert.deepEqual(volume, {
      ...{ id: VOLUME, name: 'disk', sizeBytes: SIZE + 8192, blockSizeBytes: 4096, extentSizeBytes: SIZE },
      ...{ replicas: 3, minInSync: 2, generation: 6, holders: [] },
    })
    assert.ok(state.lastVolume > VOLUME + 1000)
  })

  it('lets a wiped node at the address of a voter become its successor, and distinguishes copies from originals', () => {
    const record = headRecord({ inSync: stores(1), assigned: stores(1, 2, 3) })
    const state = applied([surviving(1, { 0: head(9, record) })])
    assert.equal(register(state, 1, [], 7).code, 'CONFLICT', 'start 7 was seen in its data directory')
    register(state, 1, [])
    applyCommand(state, {
      ...{ do: 'register', store: store(9), name: 'n2' as never, address: address(2), api: '' },
      ...{ incarnation: incarnation(1), trust: 'trusted', live: stores(1) },
    })
    assert.deepEqual(state.extents.get(EXTENT)?.assigned, stores(1, 9, 3))
    assert.equal(state.nodes.has(store(2)), false, 'what no extent names leaves the map')
  })

  it('is refused once a store has registered', () => {
    const state = applied([surviving(1, { 0: head(9, headRecord({ inSync: stores(1) })) })])
    register(state, 1, [])
    const [command] = recoverCommands(rebuildMap([]))
    assert.equal(applyCommand(state, command ?? assert.fail('there is a command')).code, 'CONFLICT')
  })

  it('of 4,096 extents is split into entries of a bounded size', () => {
    const record = headRecord({ inSync: stores(1) })
    const heads = Object.fromEntries(Array.from({ length: 4096 }, (_, index) => [index, head(1, record)]))
    const commands = recoverCommands(rebuildMap([surviving(1, heads)]))
    assert.equal(commands.length, 17)
    assert.ok(Math.max(...commands.map((command) => JSON.stringify(command).length)) < LIMITS.controlBytes)
  })

  it('A2.18-7: names the voters from before the recovery at feature level 1, until there are as many again', () => {
    const record = headRecord()
    const given = [{ ...surviving(3, { 0: head(9, record) }), featureLevel: 1 }]
    const state = applied(given)
    assert.deepEqual(
      state.formerVoters.map((voter) => voter.store),
      stores(1, 2, 3),
    )
    const voters = (...numbers: number[]) => numbers.map((n) => ({ store: store(n), address: address(n) }))
    applyCommand(state, { do: 'set-members', voters: voters(3, 4), learners: [] })
    assert.equal(state.formerVoters.length, 3)
    applyCommand(state, { do: 'set-members', voters: voters(3, 4, 5), learners: [] })
    assert.equal(state.formerVoters.length, 0, 'from here on only operators change the number')
    const old = recoverCommands(rebuildMap([surviving(3, { 0: head(9, record) })]))
    assert.ok(
      old.every((command) => !('formerVoters' in command)),
      'an older build would not keep them',
    )
    const alone = recoverCommands(
      rebuildMap([{ ...surviving(3, { 0: head(9, record) }), featureLevel: 1, voters: voters(3) }]),
    )
    assert.ok(alone.every((command) => !('formerVoters' in command)))
  })
})
