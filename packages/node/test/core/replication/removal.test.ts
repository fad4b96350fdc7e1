import assert from 'node:assert/strict'
import { test } from 'node:test'
import { active } from './active.ts'
import { World } from './kit.ts'
import { write, zero } from './requests.ts'

test('after a volume is removed while a replica makes its promise durable nothing is read', () => {
  const world = new World(['a', 'b', 'c'])
  world.host('b').autoSync = false
  world.publish()
  world.settle()
  world.remove()
  world.sync('b')
  world.settle()
  world.pass(200)
  assert.equal(world.host('b').disk.exists, false)
})

test('after a volume is removed during a copy nothing is read or sent', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(2500)
  world.grant('a')
  // Erased blocks cost the push window little, so that each run that was read asks for the next.
  world.ask('a', zero(0, 600, 1000))
  world.settle()
  world.host('a').autoRead = false
  world.start('c')
  world.settle()
  world.pass(1100)
  assert.ok(world.host('a').reads.length > 0, 'blocks are being read for the copy')
  world.remove()
  world.finishReads('a')
  world.settle()
  world.pass(200)
  assert.ok(['a', 'b', 'c'].every((store) => !world.host(store).disk.exists))
})

test('A2.8: a primary that stepped down sends no more blocks of its copies', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(2500)
  world.grant('a')
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 2, 1000 + block))
  world.settle()
  world.host('a').autoRead = false
  world.start('c')
  world.settle()
  world.pass(1100)
  assert.ok(world.host('a').reads.length > 0, 'blocks are being read for the copy')
  world.shutDown('a')
  world.settle()
  const before = world.wire.length
  world.finishReads('a')
  assert.equal(world.wire.length, before)
  assert.ok(world.host('a').released.some(({ reason }) => reason === 'shutdown'))
})
