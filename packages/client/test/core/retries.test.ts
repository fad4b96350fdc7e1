import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LIMITS } from '@ashlar/proto'
import { MachineScript, STORE_A, STORE_B } from '../kit/machine-script.ts'

describe('a request whose response is not a success', () => {
  for (const code of ['WAIT', 'BUSY', 'NOT_PRIMARY', 'INDETERMINATE', 'NO_CONTROL', 'NOT_FOUND'] as const) {
    test(`is sent again after ${code}, with its operation id, at the latest after waitRetryMs`, () => {
      const script = new MachineScript()
      script.connect()
      const volume = script.open()
      const token = script.write(volume, 0, 4096)
      const first = script.last('write')
      script.answer(first, code)
      assert.equal(script.all('write').length, 1, 'it is held, not sent again at once')
      script.pass(200)
      const second = script.last('write')
      assert.notEqual(second.message.request, first.message.request)
      assert.deepEqual(second.message.operation, first.message.operation)
      script.answer(second, 'OK')
      script.assertOk(token)
    })
  }

  test('is sent again at once when the map of its extent changes', () => {
    const script = new MachineScript()
    const { a, b } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'WAIT')
    script.move(0, STORE_B)
    script.sendMap(a)
    const again = script.last('write')
    assert.equal(again.link, b)
    assert.equal(again.message.epoch, 2)
    script.answer(again, 'OK')
    script.assertOk(token)
  })

  test('is sent again soon after the first refusals, since a new primary is known before it serves, and then less often', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    const holds: number[] = []
    for (let refusals = 0; refusals < 5; refusals++) {
      script.answer(script.last('write'), 'WAIT')
      const refusedAt = script.now
      for (const before = script.all('write').length; script.all('write').length === before; ) script.pass(25)
      holds.push(script.now - refusedAt)
    }
    assert.deepEqual(holds, [25, 50, 100, 200, 200])
  })

  test('requests the map after NOT_PRIMARY', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    const asked = script.all('get-map').length
    script.answer(script.last('write'), 'NOT_PRIMARY')
    assert.ok(script.all('get-map').length > asked)
  })

  test('goes to the new primary at once when the old one is replaced, without waiting for its response', () => {
    const script = new MachineScript()
    const { a, b } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    const first = script.last('write')
    script.move(0, STORE_B)
    script.sendMap(b)
    const second = script.last('write')
    assert.equal(second.link, b)
    assert.deepEqual(second.message.operation, first.message.operation)
    // The old primary had committed it after all: its answer counts too, once.
    script.answer({ link: a, message: first.message }, 'OK')
    script.assertOk(token)
    script.answer(second, 'OK')
  })

  test('is sent again over another connection when its own is lost', () => {
    const script = new MachineScript()
    const { a, b } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    const first = script.last('write')
    script.linkDown(a)
    assert.equal(script.all('write').length, 1, 'there is no way to the primary')
    script.move(0, STORE_B)
    script.sendMap(b)
    const second = script.last('write')
    assert.deepEqual(second.message.operation, first.message.operation)
    script.answer(second, 'OK')
    script.assertOk(token)
  })

  test('is sent again when the connection to the same primary is back', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.linkDown(a)
    script.linkUp(STORE_A)
    assert.equal(script.all('write').length, 2)
    script.answer(script.last('write'), 'OK')
    script.assertOk(token)
  })

  test('is sent again after answerTimeoutMs over a connection that lives', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.now += 100
    script.sendMap(a)
    script.pass(5000)
    const [first, second] = script.all('write')
    assert.deepEqual(second?.message.operation, first?.message.operation)
    assert.deepEqual(script.closed, [])
  })

  test('has its connection probed after answerTimeoutMs of silence, and closed when it stays silent', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.now += 5000
    script.pass(0)
    assert.equal(script.last('get-map').link, a)
    assert.deepEqual(script.closed, [])
    script.pass(1000)
    assert.deepEqual(script.closed, [a])
  })

  test('takes no response from a connection that it was not sent on', () => {
    const script = new MachineScript()
    const { b } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.answer({ link: b, message: script.last('write').message }, 'OK')
    assert.equal(script.isSettled(token), false)
  })

  test('fails at once with a code that a retry does not help', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'NO_SPACE')
    assert.equal(script.assertFailed(token, 'NO_SPACE')['indeterminate'], false)
  })

  test('fails on damage after a few tries, with that code', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const token = script.read(volume, 0, 4096)
    for (let attempt = 0; attempt < 5; attempt++) {
      assert.equal(script.isSettled(token), false)
      script.answer(script.last('read'), 'DAMAGED')
      script.pass(200)
    }
    script.assertFailed(token, 'DAMAGED')
  })

  test('is cancelled before it fails when an earlier attempt of it may still take effect', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'WAIT')
    script.pass(200)
    script.answer(script.last('write'), 'NO_SPACE')
    assert.equal(script.isSettled(token), false)
    const cancel = script.last('cancel')
    assert.deepEqual(cancel.message.operation, script.last('write').message.operation)
    script.answer(cancel, 'CANCELLED')
    script.assertFailed(token, 'NO_SPACE')
  })
})

describe('a request that waits', () => {
  test('causes one event after a second, with the reason, and one when its extent responds again', () => {
    const script = new MachineScript()
    const told = () => script.events.filter((event) => event.what === 'waiting' || event.what === 'resumed')
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.write(volume, 8192, 4096)
    for (const sent of script.all('write')) script.answer(sent, 'WAIT')
    script.pass(999)
    for (const sent of script.all('write').slice(-2)) script.answer(sent, 'WAIT')
    assert.deepEqual(told(), [])
    script.pass(200)
    const { extent } = script.last('write').message
    assert.deepEqual(told(), [{ what: 'waiting', volume: 'demo', extent, reason: 'WAIT' }])
    for (const sent of script.all('write').slice(-2)) script.answer(sent, 'OK')
    assert.deepEqual(told().slice(1), [{ what: 'resumed', volume: 'demo', extent }])
  })
})

describe('what is on its way', () => {
  test('a read is placed once, whatever arrives late or twice', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const token = script.read(volume, 0, 4096)
    const sent = script.last('read')
    script.answerRead(sent, 7)
    script.answerRead(sent, 9)
    const outcome = script.outcome(token)
    assert.ok(outcome.ok && outcome.result.kind === 'bytes')
    assert.ok(outcome.result.bytes.every((byte) => byte === 7))
  })

  test('a read whose response does not fit closes the connection, and is sent again', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    const token = script.read(volume, 0, 4096)
    const { link, message } = script.last('read')
    script.receive(link, { type: 'read-done', request: message.request, parts: [{ length: 100, checksum: 0 }] })
    assert.deepEqual(script.closed, [a])
    script.linkDown(a)
    script.linkUp(STORE_A)
    script.answerRead(script.last('read'), 3)
    script.assertOk(token)
  })

  test('operations stay within the window of the session; the rest goes out as the lowest are resolved', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const tokens = Array.from({ length: LIMITS.sessionOps + 10 }, (_, i) => script.write(volume, i * 4096, 4096))
    assert.equal(script.all('write').length, LIMITS.sessionOps)
    const [lowest, second] = script.all('write')
    assert.ok(lowest !== undefined && second !== undefined)
    // The window is measured from the lowest unresolved operation: every replica remembers what lies above it.
    script.answer(second, 'OK')
    assert.equal(script.all('write').length, LIMITS.sessionOps)
    script.answer(lowest, 'OK')
    assert.equal(script.all('write').length, LIMITS.sessionOps + 2)
    assert.equal(script.last('write').message.operation.lowMark, 3)
    for (const sent of script.all('write').slice(2)) script.answer(sent, 'OK')
    for (const sent of script.all('write').slice(LIMITS.sessionOps + 2)) script.answer(sent, 'OK')
    for (const token of tokens) script.assertOk(token)
  })

  test('bytes stay within the bound of the client', () => {
    const script = new MachineScript({}, { sizeBytes: 256 * 1024 * 1024 })
    script.connect()
    const volume = script.open()
    const token = script.read(volume, 0, 128 * 1024 * 1024)
    const bound = LIMITS.clientInFlightBytes / LIMITS.pieceBytes
    for (let piece = 0; piece < 128; piece++) {
      const sent = script.all('read')[piece]
      const inFlight = script.all('read').length - piece
      assert.ok(sent !== undefined && inFlight <= bound && inFlight >= Math.min(128 - piece, bound / 2), `${inFlight}`)
      script.answerRead(sent, piece)
    }
    script.assertOk(token)
  })

  test('bytes of writes to one extent stay within the window of its primary', () => {
    const MIB = 1024 * 1024
    const script = new MachineScript({}, { sizeBytes: 128 * MIB, extentSizeBytes: 64 * MIB })
    script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 48 * MIB)
    assert.equal(script.all('write').length * LIMITS.pieceBytes, LIMITS.primaryWindowBytes)
    for (let piece = 0; piece < 48; piece++) {
      const sent = script.all('write')[piece]
      assert.ok(sent !== undefined)
      script.answer(sent, 'OK')
      assert.equal(script.all('write').length, Math.min(48, 33 + piece))
    }
    script.assertOk(token)
  })

  test('every message names the lowest unresolved operation as low mark, and a retry its own number', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.write(volume, 4096, 4096)
    const [first, second] = script.all('write')
    assert.ok(first !== undefined && second !== undefined)
    assert.deepEqual([first.message.operation.op, second.message.operation.op], [1, 2])
    script.answer(second, 'WAIT')
    script.answer(first, 'OK')
    script.pass(200)
    const retry = script.last('write').message.operation
    assert.deepEqual([retry.op, retry.lowMark], [2, 2])
  })
})
