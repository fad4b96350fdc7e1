import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExtentId } from '@ashlar/proto'
import fc from 'fast-check'
import { type RangeClaim, RangeLocks } from '../../src/core/range-lock.ts'

const EXTENT = 4096 as ExtentId

test('a claim is held at once unless an earlier one overlaps it', () => {
  const locks = new RangeLocks<string>()
  assert.equal(locks.claim('a', EXTENT, 0, 10).blockers, 0)
  assert.equal(locks.claim('next to it', EXTENT, 10, 20).blockers, 0)
  assert.equal(locks.claim('elsewhere', (EXTENT + 1) as ExtentId, 0, 10).blockers, 0)
  assert.equal(locks.claim('over both', EXTENT, 9, 11).blockers, 2)
})

test('claims of one range are granted one at a time, in the order in which they were made', () => {
  const locks = new RangeLocks<number>()
  const claims = [1, 2, 3].map((owner) => locks.claim(owner, EXTENT, 0, 10))
  const [first, second, third] = claims
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  assert.deepEqual(locks.release(first), [second])
  assert.deepEqual(locks.release(second), [third])
  assert.deepEqual(locks.release(third), [])
  assert.ok(locks.isEmpty)
})

test('releasing a waiting claim grants the claims behind it', () => {
  const locks = new RangeLocks<string>()
  const held = locks.claim('held', EXTENT, 0, 10)
  const waiting = locks.claim('waiting', EXTENT, 5, 15)
  const behind = locks.claim('behind', EXTENT, 12, 20)
  assert.deepEqual(locks.release(waiting), [behind])
  assert.deepEqual(locks.release(held), [])
})

test('releasing a claim twice is a broken promise', () => {
  const locks = new RangeLocks<string>()
  const claim = locks.claim('a', EXTENT, 0, 10)
  locks.release(claim)
  assert.throws(() => locks.release(claim), { name: 'InvariantError' })
})

test('whatever is claimed and released: no two held ranges overlap, and nothing waits for nothing', () => {
  const steps = fc.array(
    fc.record({ start: fc.nat(60), length: fc.integer({ min: 1, max: 20 }), release: fc.boolean(), pick: fc.nat() }),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(steps, (script) => {
      const locks = new RangeLocks<number>()
      const claims: RangeClaim<number>[] = []
      const held = new Set<RangeClaim<number>>()
      for (const [owner, step] of script.entries()) {
        if (step.release && claims.length > 0) {
          const [claim] = claims.splice(step.pick % claims.length, 1)
          assert.ok(claim !== undefined)
          held.delete(claim)
          for (const granted of locks.release(claim)) held.add(granted)
        } else {
          const claim = locks.claim(owner, EXTENT, step.start, step.start + step.length)
          claims.push(claim)
          if (claim.blockers === 0) held.add(claim)
        }
        for (const [index, claim] of claims.entries()) {
          const blocked = claims
            .slice(0, index)
            .some((earlier) => earlier.start < claim.end && claim.start < earlier.end)
          assert.equal(held.has(claim), !blocked)
        }
      }
    }),
  )
})
