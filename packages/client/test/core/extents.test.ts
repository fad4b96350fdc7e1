import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ExtentId, LIMITS, type SessionId } from '@ashlar/proto'
import { Session } from '../../src/core/session.ts'
import { MachineScript } from '../kit/machine-script.ts'

const MIB = 1024 * 1024
const EXTENT = 16 * MIB
const BLOCK = 4096

/** A client of a volume of some extents, the first of which is not served: what is sent to it is told to wait. */
function beside(extents = 2, ioTimeoutMs = 60_000): { script: MachineScript; volume: number } {
  const script = new MachineScript({ ioTimeoutMs }, { sizeBytes: extents * EXTENT })
  script.connect()
  return { script, volume: script.open() }
}

/** Writes a block of the second extent, and answers it. False when it was not sent. */
function writesBeside({ script, volume }: { script: MachineScript; volume: number }, at = 0): boolean {
  const before = script.all('write').length
  const token = script.write(volume, EXTENT + (at % 1000) * BLOCK, BLOCK)
  if (script.all('write').length === before) return false
  script.answer(script.last('write'), 'OK')
  script.assertOk(token)
  return true
}

describe('while one extent is not served', () => {
  test('writes to another go on, however many there are, also after the stuck call has failed', () => {
    const client = beside()
    const { script, volume } = client
    const stuck = script.write(volume, 0, BLOCK)
    for (let at = 0; at < 3 * LIMITS.sessionOps; at++) assert.ok(writesBeside(client, at), `write ${at} is not sent`)
    script.pass(60_000)
    script.answer(script.last('cancel'), 'WAIT')
    script.pass(1000)
    assert.equal(script.assertFailed(stuck, 'TIMEOUT')['indeterminate'], true)
    for (let at = 0; at < 2 * LIMITS.sessionOps; at++) assert.ok(writesBeside(client, at), `write ${at} is not sent`)
    script.answer(script.last('cancel'), 'CANCELLED')
    assert.equal(script.machine.isBusy, false)
  })

  test('more writes to it than its window has room for wait, and no others with them', () => {
    const client = beside()
    const { script, volume } = client
    for (let at = 0; at < LIMITS.sessionOps + 100; at++) script.write(volume, at * BLOCK, BLOCK)
    assert.equal(script.all('write').length, LIMITS.sessionOps)
    assert.ok(writesBeside(client))
    const [first] = script.all('write')
    assert.ok(first !== undefined)
    script.answer(first, 'OK')
    const last = script.last('write').message
    assert.deepEqual([last.offset, last.operation.lowMark], [LIMITS.sessionOps * BLOCK, 2], 'its own have room again')
  })

  test('all the bytes that callers want to write to it leave room for others', () => {
    const client = beside()
    const { script, volume } = client
    for (let at = 0; at < 100; at++) script.write(volume, (at % 16) * MIB, MIB)
    const inFlight = script.all('write').reduce((sum, { message }) => sum + message.payload.length, 0)
    assert.ok(inFlight <= LIMITS.primaryWindowBytes)
    assert.ok(writesBeside(client))
  })

  test('all the reads that callers want of it leave room for others', () => {
    const { script, volume } = beside()
    for (let at = 0; at < 2 * LIMITS.primaryReads; at++) script.read(volume, 0, BLOCK)
    for (let at = 0; at < 200; at++) script.read(volume, 0, MIB)
    const stuck = script.all('read').length
    assert.ok(stuck < LIMITS.primaryReads)
    const token = script.read(volume, EXTENT, MIB)
    assert.equal(script.all('read').length, stuck + 1)
    script.answerRead(script.last('read'), 1)
    script.assertOk(token)
  })

  test('several that are not served share what there is, and leave a share to those that are', () => {
    const client = beside(6)
    const { script, volume } = client
    for (let at = 0; at < 400; at++)
      script.write(volume, ((at % 4) + 2) * EXTENT + (Math.floor(at / 4) % 16) * MIB, MIB)
    const inFlight = script.all('write').reduce((sum, { message }) => sum + message.payload.length, 0)
    assert.ok(inFlight > LIMITS.clientInFlightBytes / 2 && inFlight < LIMITS.clientInFlightBytes)
    for (let at = 0; at < 100; at++) assert.ok(writesBeside(client, at))
  })

  test('a dozen that are not served, each with all that it may have, stop no large request of others', () => {
    const client = beside(14)
    const { script, volume } = client
    for (let at = 0; at < 12 * 40; at++) script.write(volume, (Math.floor(at / 40) + 2) * EXTENT + (at % 16) * MIB, MIB)
    const inFlight = () => script.all('write').reduce((sum, { message }) => sum + message.payload.length, 0)
    assert.ok(inFlight() < LIMITS.clientInFlightBytes)
    for (let at = 0; at < 10; at++) {
      assert.ok(writesBeside(client, at), `write ${at} is not sent`)
      const sent = script.all('write').length
      const token = script.write(volume, EXTENT, MIB)
      assert.equal(script.all('write').length, sent + 1, `large write ${at} is not sent`)
      script.answer(script.last('write'), 'OK')
      script.assertOk(token)
    }
  })

  test('hundreds that are not served stop no small request of others, and all stay within the bound', () => {
    const extents = 300
    const client = beside(extents)
    const { script, volume } = client
    for (let at = 2; at < extents; at++) for (const nth of [0, 1]) script.write(volume, at * EXTENT + nth * MIB, MIB)
    for (let at = 2; at < extents; at++) script.read(volume, at * EXTENT + 8 * MIB, BLOCK)
    const inFlight = script.all('write').reduce((sum, { message }) => sum + message.payload.length, 0)
    assert.ok(inFlight + script.all('read').length * BLOCK <= LIMITS.clientInFlightBytes)
    for (let at = 0; at < 10; at++) assert.ok(writesBeside(client, at), `write ${at} is not sent`)
  })

  test('hundreds with small requests stop no large one, and dozens with large ones stop no small one', () => {
    const extents = 1300
    const { script, volume } = beside(extents)
    const small = 64 * 1024
    for (let at = 200; at < extents; at++) script.write(volume, at * EXTENT, small)
    const all = script.all('write').length
    assert.ok(all > 768 && all < extents - 200)
    for (let at = 100; at < 200; at++) script.write(volume, at * EXTENT, MIB)
    assert.equal(script.all('write').length, all + 12)
    const other = beside(extents)
    for (let at = 200; at < 300; at++) other.script.write(other.volume, at * EXTENT, MIB)
    assert.equal(other.script.all('write').length, 60)
    for (let at = 100; at < 200; at++) other.script.write(other.volume, at * EXTENT, small)
    assert.equal(other.script.all('write').length, 60 + 64)
  })

  test('so many that all room is stuck hold up others until their calls have failed, however many more wait', () => {
    const extents = 300
    const client = beside(extents, 60_000)
    const { script, volume } = client
    for (const length of [MIB, 64 * 1024])
      for (let at = 2; at < extents; at++) script.write(volume, at * EXTENT + 2 * MIB, length)
    for (let at = 2; at < extents; at++) script.write(volume, at * EXTENT, 64 * 1024)
    script.pass(3000)
    const sent = script.all('write').length
    const later = script.write(volume, EXTENT, MIB, 9)
    assert.equal(script.all('write').length, sent, 'no room is left')
    for (let at = 2; at < extents; at++) script.write(volume, at * EXTENT + 4 * MIB, MIB)
    script.pass(57_000)
    script.pass(1000)
    const out = script.all('write').find(({ message }) => message.payload[0] === 9)
    assert.ok(out !== undefined, 'it goes out before its own time is over')
    script.answer(out, 'OK')
    script.assertOk(later)
  })

  test('reads that wait at a dozen that are not served stop no read of others', () => {
    const { script, volume } = beside(14)
    for (let at = 0; at < 12 * LIMITS.primaryReads; at++)
      script.read(volume, (Math.floor(at / LIMITS.primaryReads) + 2) * EXTENT, BLOCK)
    assert.ok(script.all('read').length <= LIMITS.primaryReads + 12)
    const stuck = script.all('read').length
    const token = script.read(volume, EXTENT, BLOCK)
    assert.equal(script.all('read').length, stuck + 1)
    script.answerRead(script.last('read'), 1)
    script.assertOk(token)
  })

  test('an erasure of it holds up none of another one', () => {
    const { script, volume } = beside()
    for (let at = 0; at < 40; at++) {
      script.call({ do: 'discard', volume, offset: 0, length: EXTENT, kind: 'trim' })
    }
    assert.equal(script.all('zero').length, 1)
    const token = script.call({ do: 'discard', volume, offset: EXTENT, length: 256 * BLOCK, kind: 'trim' })
    assert.equal(script.all('zero').length, 2)
    script.answer(script.last('zero'), 'OK')
    script.assertOk(token)
  })
})

describe('a call that reaches into two extents', () => {
  test('keeps its place before later ones of its bytes where it has not come to yet, and holds up no others', () => {
    const { script, volume } = beside()
    for (let at = 0; at < LIMITS.sessionOps; at++) script.write(volume, 0, BLOCK)
    const both = script.write(volume, EXTENT - BLOCK, 2 * BLOCK, 1)
    const later = script.write(volume, EXTENT, BLOCK, 2)
    const apart = script.write(volume, EXTENT + BLOCK, BLOCK, 3)
    assert.equal(script.last('write').message.payload[0], 3)
    script.answer(script.last('write'), 'OK')
    script.assertOk(apart)
    assert.equal(script.last('write').message.payload[0], 3, 'the one of the same bytes waits')
    for (let answered = 0; !script.isSettled(later); answered++) {
      const next = script.all('write').filter(({ message }) => message.payload[0] !== 3)[answered]
      assert.ok(next !== undefined, 'something goes out with each answer')
      script.answer(next, 'OK')
    }
    script.assertOk(both)
    const { extent } = script.all('write').find(({ message }) => message.payload[0] === 2)?.message ?? {}
    const fills = script.all('write').filter(({ message }) => message.extent === extent && message.offset === 0)
    assert.deepEqual(
      fills.map(({ message }) => message.payload[0]),
      [1, 2],
    )
  })

  test('comes after earlier ones of its bytes that wait for room in the second', () => {
    const { script, volume } = beside()
    for (let at = 0; at < LIMITS.sessionOps; at++) script.write(volume, EXTENT + BLOCK, BLOCK)
    script.write(volume, EXTENT, BLOCK, 2)
    script.write(volume, EXTENT - BLOCK, 2 * BLOCK, 3)
    script.answer(script.last('write'), 'OK')
    for (const sent of script.all('write').slice(0, 2)) if (sent.message.offset === BLOCK) script.answer(sent, 'OK')
    const fills = script.all('write').filter(({ message }) => message.offset === 0)
    assert.equal(fills[0]?.message.payload[0], 2)
  })
})

describe('numbers of operations', () => {
  const [a, b, c] = [1, 2, 3] as ExtentId[] as [ExtentId, ExtentId, ExtentId]

  test('are of one extent each, and so are low marks', () => {
    const session = new Session(7 as SessionId)
    assert.deepEqual([session.issue(a), session.issue(b), session.issue(b)], [1, 1, 2])
    session.resolve(b, 1)
    assert.equal(session.operation(b, 2).lowMark, 2)
    assert.equal(session.operation(a, 1).lowMark, 1)
    assert.equal(session.unresolved, 2)
  })

  test('stay within the window of their extent', () => {
    const session = new Session(7 as SessionId)
    for (let op = 1; op <= LIMITS.sessionOps; op++) session.issue(a)
    assert.deepEqual([session.canIssue(a), session.canIssue(b)], [false, true])
    session.resolve(a, 2)
    assert.equal(session.canIssue(a), false, 'the first is not resolved')
    session.resolve(a, 1)
    assert.equal(session.canIssue(a), true)
    assert.throws(() => session.resolve(a, 1), /resolved twice/)
  })

  test('are never used twice for an extent, although an extent with none unresolved is forgotten', () => {
    const session = new Session(7 as SessionId)
    for (let op = 1; op <= 5; op++) session.issue(a)
    session.issue(b)
    for (const op of [5, 3, 1, 2, 4]) session.resolve(a, op)
    assert.equal(session.tracked, 1, 'only the one with an unresolved number')
    assert.deepEqual([session.issue(a), session.operation(a, 6).lowMark], [6, 6])
    assert.deepEqual([session.issue(c), session.operation(c, 6).lowMark], [6, 6])
    assert.equal(session.issue(b), 2, 'one that is remembered goes on where it was')
  })
})
