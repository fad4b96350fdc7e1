import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyMessage, InvariantError, MESSAGE_KINDS, type MessageType, WIRE_VERSION_MIN } from '@ashlar/proto'
import { HANDSHAKE_WIRE_VERSION, kindSince, verifyChecksums } from '@ashlar/proto/codec'
import { decode, encode } from '../support/frames.ts'
import { kindsOf, readGolden } from '../support/golden-files.ts'
import { SAMPLES, WIRE_3_SAMPLES } from '../support/sample-messages.ts'

const KINDS = Object.keys(MESSAGE_KINDS) as MessageType[]
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
/** Of a frame without what its version and checksum are. */
const body = (frame: Uint8Array): string => hex(frame.subarray(9))

function reads(golden: Uint8Array, message: AnyMessage): void {
  const messages = decode(golden)
  assert.deepStrictEqual(messages, [message])
  assert.ok(messages.every(verifyChecksums))
}

for (const type of KINDS) {
  test(`the golden frame of ${type} is written and read as on the first day`, () => {
    const golden = readGolden(type)
    assert.equal(hex(encode([SAMPLES[type]], kindSince(type))), hex(golden))
    reads(golden, SAMPLES[type])
  })
}

test('golden frames of wire version 3 are those of the kinds that have fields since then', () => {
  assert.deepEqual(
    kindsOf(3),
    KINDS.filter((type) => WIRE_3_SAMPLES[type] !== undefined),
  )
})

for (const type of KINDS) {
  const message = WIRE_3_SAMPLES[type]
  if (message !== undefined) {
    test(`the golden frame of ${type} in wire version 3 is written and read as on its first day`, () => {
      const golden = readGolden(type, 3)
      assert.equal(hex(encode([message], 3)), hex(golden))
      reads(golden, message)
    })

    test(`a ${type} with fields since wire version 3 goes over a link of version 2 without them`, () => {
      assert.equal(hex(encode([message], 2)), hex(readGolden(type)))
    })
  } else if (kindSince(type) === WIRE_VERSION_MIN) {
    test(`a ${type} is the same in wire version 3`, () => {
      assert.equal(body(encode([SAMPLES[type]], 3)), body(readGolden(type)))
    })
  } else if (kindSince(type) > WIRE_VERSION_MIN) {
    test(`a ${type} cannot be encoded for a link of an older version`, () => {
      assert.throws(() => encode([SAMPLES[type]], kindSince(type) - 1), InvariantError)
    })
  } else {
    test(`a ${type} is written in the version of the handshake on every link`, () => {
      assert.equal(kindSince(type), HANDSHAKE_WIRE_VERSION)
      assert.equal(hex(encode([SAMPLES[type]], 3)), hex(readGolden(type)))
    })
  }
}

test('kind numbers are all different', () => {
  const numbers = Object.values(MESSAGE_KINDS)
  assert.equal(new Set(numbers).size, numbers.length)
})
