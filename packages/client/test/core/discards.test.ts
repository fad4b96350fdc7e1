import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '@ashlar/proto'
import { DiscardWindow } from '../../src/core/discard-window.ts'
import { MachineScript } from '../kit/machine-script.ts'

const BLOCK = 4096
const PIECE = LIMITS.discardPieceBlocks * BLOCK
const VOLUME_BYTES = 32 * 1024 * 1024

/** A volume of 32 MiB of which this many bytes from its start are being trimmed. */
function discarding(length = VOLUME_BYTES): { script: MachineScript; volume: number; token: number } {
  const script = new MachineScript()
  script.connect()
  const volume = script.open()
  const token = script.call({ do: 'discard', volume, offset: 0, length, kind: 'trim' })
  return { script, volume, token }
}

const blocksOf = (messages: { message: { length: number } }[]): number =>
  messages.reduce((sum, { message }) => sum + message.length / BLOCK, 0)

/** Answers the pieces of a trim in order, each so long after the one before; gives how many blocks were on their way at each. */
function answerAll(script: MachineScript, token: number, afterMs: number): number[] {
  const inFlight: number[] = []
  for (let answered = 0; !script.isSettled(token); answered++) {
    const sent = script.all('zero').slice(answered)
    inFlight.push(blocksOf(sent))
    const [next] = sent
    assert.ok(next !== undefined && next.message.length <= PIECE)
    script.pass(afterMs)
    script.answer(next, 'OK')
  }
  script.assertOk(token)
  assert.equal(blocksOf(script.all('zero')), VOLUME_BYTES / BLOCK)
  return inFlight
}

test('a trim of a whole volume has one piece of one leaf in flight while pieces are slow', () => {
  const { script, token } = discarding()
  for (const blocks of answerAll(script, token, 6)) assert.equal(blocks, LIMITS.discardPieceBlocks)
})

test('its window grows while responses are fast, halves after a slow one, and stays within its limit', () => {
  const { script, token } = discarding()
  const inFlight = answerAll(script, token, 1)
  assert.deepEqual(
    inFlight.slice(0, 5),
    [1, 2, 3, 4, 5].map((pieces) => pieces * LIMITS.discardPieceBlocks),
  )
  assert.ok(
    Math.max(...inFlight) <= 11 * LIMITS.discardPieceBlocks,
    'a piece behind as many others takes more than 5 ms',
  )
  const window = new DiscardWindow()
  for (let piece = 0; piece < 1000; piece++) window.onAnswered(1)
  assert.equal(window.size, LIMITS.discardedBlocksInFlight)
  window.onAnswered(6)
  assert.equal(window.size, LIMITS.discardedBlocksInFlight / 2)
})

test('calls behind a trim that waits go out at once, but for those of its bytes', () => {
  for (const [trimmed, sent] of [
    [VOLUME_BYTES / 2, 1],
    [VOLUME_BYTES, 0],
  ] as const) {
    const { script, volume } = discarding(trimmed)
    script.write(volume, VOLUME_BYTES - BLOCK, BLOCK)
    script.read(volume, VOLUME_BYTES - BLOCK, BLOCK)
    assert.deepEqual([script.all('write').length, script.all('read').length], [sent, sent])
  }
})

test('a write waits for the trim of its bytes alone, and then has its turn', () => {
  const { script, volume, token } = discarding()
  const write = script.write(volume, VOLUME_BYTES - BLOCK, BLOCK, 7)
  for (let answered = 0; !script.isSettled(token); answered++) {
    const next = script.all('zero')[answered]
    assert.ok(next !== undefined)
    assert.equal(script.all('write').length, 0, 'a piece of the trim is not answered yet')
    script.answer(next, 'OK')
  }
  script.answer(script.last('write'), 'OK')
  script.assertOk(write)
})

test('the window of a failed trim is free for the next one', () => {
  const script = new MachineScript({ ioTimeoutMs: 1000 })
  script.connect()
  const volume = script.open()
  const trim = () => script.call({ do: 'discard', volume, offset: 0, length: VOLUME_BYTES, kind: 'trim' })
  const first = trim()
  assert.equal(script.all('zero').length, 1)
  script.pass(1000)
  script.answer(script.last('cancel'), 'CANCELLED')
  script.assertFailed(first, 'TIMEOUT')
  const before = script.all('zero').length
  trim()
  assert.equal(script.all('zero').length, before + 1)
})

test('a window that halves while a piece of a trim waits for bytes in flight bounds that piece', () => {
  const extentBytes = VOLUME_BYTES / 2
  const extents = 400
  const script = new MachineScript({}, { sizeBytes: extents * extentBytes })
  script.connect()
  const volume = script.open()
  const trim = (index: number) =>
    script.call({ do: 'discard', volume, offset: index * extentBytes, length: extentBytes, kind: 'trim' })
  const first = trim(0)
  for (let at = 0; at < 3; at++) script.answer(script.all('zero')[at] ?? assert.fail(), 'OK')
  const ofFirst = script.all('zero').slice(3)
  const second = trim(1)
  const ofSecond = script.all('zero').slice(3 + ofFirst.length)
  assert.deepEqual([ofFirst.length, ofSecond.length], [4, 4], 'the window is four pieces')
  // 47 MiB, and blocks for the rest of what extents share.
  for (let at = 2; at < extents; at++) script.write(volume, at * extentBytes, at < 49 ? PIECE : BLOCK)
  const sent = script.all('zero').length
  script.answer(ofFirst[0] ?? assert.fail(), 'OK')
  script.pass(6)
  for (const piece of ofSecond.slice(0, 2)) script.answer(piece, 'OK')
  assert.equal(script.all('zero').length, sent, 'the next piece of the first trim waits for bytes')
  for (const write of script.all('write').slice(0, 10)) script.answer(write, 'OK')
  assert.equal(script.all('zero').length, sent, 'three pieces are more than the window')
  for (const piece of [...ofFirst.slice(1), ...ofSecond.slice(2)]) script.answer(piece, 'OK')
  for (let at = sent; at < script.all('zero').length; at++) script.answer(script.all('zero')[at] ?? assert.fail(), 'OK')
  for (const token of [first, second]) script.assertOk(token)
})
