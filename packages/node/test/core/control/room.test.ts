import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERRORS, type Message, type StoreId } from '@ashlar/proto'
import { EXTENT, store } from './kit.ts'
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

test('amendment 17: new extents are placed beside disks that are filling', () => {
  const rig = started()
  rig.renew(2, { space: 'filling' })
  assert.equal(outcome(rig.create(3)).code, ERRORS.OK.number)
  const assigned = rig.leader.state.extents.get(EXTENT)?.assigned ?? ([] as StoreId[])
  assert.deepEqual([...assigned].sort(), [store(1), store(3), store(4)])
})

test('amendment 17: a volume that too few disks have room for is refused, and who is too full is named', () => {
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
