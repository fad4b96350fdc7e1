import assert from 'node:assert/strict'
import { test } from 'node:test'
import { damagedPieces, FuzzSession, outcomeOf, runDamaged, SESSIONS } from '../support/fuzz-session.ts'
import { Random, seedOf } from '../support/random.ts'

/** Sessions recorded of real clients, whole and in every state of disrepair. `npm run fuzz:nbd` goes on from here. */

const CASES = 30_000
const SEED = seedOf(20_261_124)

test('recorded sessions of libnbd, qemu and fio are understood to their end', () => {
  for (const [name, bytes] of Object.entries(SESSIONS)) {
    const session = new FuzzSession()
    session.feed(bytes)
    // fio closes without a word.
    assert.equal(session.closed, name !== 'fio', `${name} said goodbye`)
    assert.ok(session.requests >= 7, `${name} made ${session.requests} requests`)
    assert.equal(session.consumedBytes, session.transmissionBytes, name)
  }
})

test('nbd 14, 108: a recorded session that is split at any byte, or sent byte by byte, has the same outcome', () => {
  for (const [name, bytes] of Object.entries(SESSIONS)) {
    const whole = outcomeOf(bytes)
    for (let at = 1; at < bytes.length; at++) {
      assert.equal(outcomeOf(bytes.subarray(0, at), bytes.subarray(at)), whole, `${name} at ${at}`)
    }
    assert.equal(outcomeOf(...[...bytes].map((byte) => Uint8Array.of(byte))), whole, name)
  }
})

test('nbd 14, 108: a recorded session that is cut at any byte never gets ahead of its bytes', () => {
  for (const bytes of Object.values(SESSIONS)) {
    for (let at = 0; at < bytes.length; at++) runDamaged([bytes.subarray(0, at)])
  }
})

test('nbd 108: a recorded session with any one bit flipped breaks no promise', () => {
  for (const source of Object.values(SESSIONS)) {
    const bytes = Buffer.from(source)
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        bytes[at] = (bytes[at] as number) ^ bit
        runDamaged([bytes])
        bytes[at] = (bytes[at] as number) ^ bit
      }
    }
  }
})

test(`nbd 107, 108, 117: recorded sessions, damaged in several ways at once, break no promise (seed ${SEED})`, () => {
  const random = new Random(SEED)
  const sources = Object.values(SESSIONS)
  for (let index = 0; index < CASES; index++) runDamaged(damagedPieces(sources, random))
})
