import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MESSAGE_KINDS, type MessageType } from '@ashlar/proto'
import { decodeFrame, encodeFrame, verifyChecksums } from '@ashlar/proto/codec'
import { readGolden } from '../support/golden-files.ts'
import { SAMPLES } from '../support/sample-messages.ts'

for (const type of Object.keys(MESSAGE_KINDS) as MessageType[]) {
  test(`the golden frame of ${type} is written and read as on the first day`, () => {
    const golden = readGolden(type)
    assert.equal(Buffer.from(encodeFrame([SAMPLES[type]])).toString('hex'), Buffer.from(golden).toString('hex'))
    const messages = decodeFrame(golden)
    assert.deepStrictEqual(messages, [SAMPLES[type]])
    assert.ok(messages.every(verifyChecksums))
  })
}

test('kind numbers are all different', () => {
  const numbers = Object.values(MESSAGE_KINDS)
  assert.equal(new Set(numbers).size, numbers.length)
})
