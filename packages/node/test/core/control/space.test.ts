import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERRORS, type Message, type StoreId } from '@ashlar/proto'
import { EXTENT, numberOf, store } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'

function started(): LeaderRig {
  const rig = new LeaderRig()
  for (const n of [1, 2, 3, 4]) {
    rig.register(n)
    rig.renew(n)
  }
  return rig
}

function outcome(messages: readonly Message[]) {
  const done = messages.find((message) => message.type === 'admin-done')
  assert.ok(done?.type === 'admin-done')
  return done
}

test('amendment 17: control prefers stores that are not filling for new extents', () => {
  const rig = started()
  rig.renew(2, { space: 'filling' })
  assert.equal(outcome(rig.create(3)).code, ERRORS.OK.number)
  const assigned = rig.leader.state.extents.get(EXTENT)?.assigned ?? ([] as StoreId[])
  assert.deepEqual([...assigned].sort(), [store(1), store(3), store(4)])
})

test('amendment 17: a volume is refused if too few stores have space, and the error names the full ones', () => {
  const rig = started()
  rig.renew(2, { space: 'filling' })
  rig.renew(3, { space: 'full' })
  const { code, message } = outcome(rig.create(3))
  assert.equal(code, ERRORS.NO_SPACE.number)
  assert.match(message, /there are 2: the disks of n2, n3 are too full/)
  assert.equal(rig.leader.state.volumes.size, 0)
  rig.renew(3, { space: 'free' })
  assert.equal(outcome(rig.create(3)).code, ERRORS.OK.number)
})

test('amendment 17: assignments of a removed store move to stores with space, and wait until there is one', () => {
  const rig = started()
  rig.create(3)
  const assigned = () => rig.record().assigned.map(numberOf).sort()
  const places = assigned()
  const lost = places.find((n) => n !== rig.primary) as number
  const spare = [1, 2, 3, 4].find((n) => !places.includes(n)) as number
  const kept = places.filter((n) => n !== lost)
  for (let ms = 0; ms < 10_000; ms += 500) {
    rig.renew(spare, { space: 'filling' })
    rig.pass(500, kept)
  }
  rig.changeSets(rig.primary, [rig.change(kept.map(store))])
  assert.equal(outcome(rig.admin(1, { do: 'lose-store', store: store(lost) })).code, ERRORS.OK.number)
  assert.deepEqual(assigned(), places)
  rig.renew(spare, { space: 'free' })
  rig.tick()
  assert.deepEqual(assigned(), [...kept, spare].sort())
})
