import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_TRIM, LIMITS } from '@ashlar/proto'
import { MachineScript } from '../kit/machine-script.ts'

const BLOCK = 4096
const PIECE = LIMITS.erasePieceBlocks * BLOCK
const VOLUME_BYTES = 32 * 1024 * 1024

/** A volume of 32 MiB of which this many bytes from its start are being trimmed. */
function erasing(length = VOLUME_BYTES): { script: MachineScript; volume: number; token: number } {
  const script = new MachineScript()
  script.connect()
  const volume = script.open()
  const token = script.call({ do: 'zero', volume, offset: 0, length, kind: BLOCK_TRIM })
  return { script, volume, token }
}

test('a trim of a whole volume has few blocks on their way at a time, in pieces of one leaf', () => {
  const { script, token } = erasing()
  for (let answered = 0; !script.isSettled(token); answered++) {
    const sent = script.all('zero')
    const inFlight = sent.slice(answered).reduce((sum, { message }) => sum + message.length / BLOCK, 0)
    assert.ok(inFlight > 0 && inFlight <= LIMITS.erasedBlocksInFlight, `${inFlight} blocks`)
    const next = sent[answered]
    assert.ok(next !== undefined && next.message.length <= PIECE)
    script.answer(next, 'OK')
  }
  script.assertOk(token)
  assert.equal(
    script.all('zero').reduce((sum, { message }) => sum + message.length, 0),
    VOLUME_BYTES,
  )
})

test('calls behind a trim that waits go out at once, but for those of its bytes', () => {
  for (const [trimmed, sent] of [
    [VOLUME_BYTES / 2, 1],
    [VOLUME_BYTES, 0],
  ] as const) {
    const { script, volume } = erasing(trimmed)
    script.write(volume, VOLUME_BYTES - BLOCK, BLOCK)
    script.read(volume, VOLUME_BYTES - BLOCK, BLOCK)
    assert.deepEqual([script.all('write').length, script.all('read').length], [sent, sent])
  }
})

test('a write waits for the trim of its bytes alone, and then has its turn', () => {
  const { script, volume, token } = erasing()
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

test('what a trim that was given up had on its way is free for the next one', () => {
  const script = new MachineScript({ ioTimeoutMs: 1000 })
  script.connect()
  const volume = script.open()
  const most = LIMITS.erasedBlocksInFlight / LIMITS.erasePieceBlocks
  const trim = () => script.call({ do: 'zero', volume, offset: 0, length: VOLUME_BYTES, kind: BLOCK_TRIM })
  const first = trim()
  assert.equal(script.all('zero').length, most)
  script.pass(1000)
  for (const cancel of script.all('cancel')) script.answer(cancel, 'CANCELLED')
  script.assertFailed(first, 'TIMEOUT')
  trim()
  assert.equal(script.all('zero').length, 2 * most)
})
