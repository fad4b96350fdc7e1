import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { type AnyMessage, AshlarError, MESSAGE_KINDS, type MessageType } from '@ashlar/proto'
import fc from 'fast-check'
import { anyMessage } from '../support/arbitraries.ts'
import { decode, encode } from '../support/frames.ts'
import { readGolden } from '../support/golden-files.ts'
import { SAMPLES } from '../support/sample-messages.ts'

const HEADS_AT = 16

/** Decodes, or gives the refusal; any other error is a crash and fails the test. */
function decodeOrRefuse(frame: Uint8Array): readonly AnyMessage[] | AshlarError {
  try {
    return decode(frame)
  } catch (error) {
    assert.ok(error instanceof AshlarError, `decode threw ${String(error)}`)
    assert.equal(error.code, 'BAD_FRAME')
    assert.ok(error.message.length > 0)
    assertNoCrash(error)
    return error
  }
}

/** A TypeError deep down would mean that a validator used what it had not checked. */
function assertNoCrash(error: AshlarError): void {
  let cause: unknown = error
  while (cause instanceof AshlarError) cause = cause.cause
  assert.ok(
    !(cause instanceof TypeError) || cause.message.includes('encoded data'),
    `a crash behind ${error.message}: ${cause}`,
  )
}

/** Makes the heads of a damaged frame match their checksum again, so that the damage reaches the validators. */
function seal(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const headsEnd = Math.min(HEADS_AT + view.getUint32(12), frame.length)
  view.setUint32(4, crc32(frame.subarray(8, headsEnd)))
  return frame
}

for (const type of Object.keys(MESSAGE_KINDS) as MessageType[]) {
  test(`a ${type} cut at any offset is refused`, () => {
    const golden = readGolden(type)
    for (let length = 0; length < golden.length; length++) {
      assert.ok(decodeOrRefuse(golden.slice(0, length)) instanceof AshlarError, `cut at ${length}`)
    }
    const longer = new Uint8Array(golden.length + 1)
    longer.set(golden)
    assert.ok(decodeOrRefuse(longer) instanceof AshlarError, 'one byte too many')
  })

  test(`a ${type} with any byte of its heads flipped is refused`, () => {
    const golden = readGolden(type)
    const headsEnd = HEADS_AT + new DataView(golden.buffer).getUint32(12)
    for (let at = 0; at < headsEnd; at++) {
      const flipped = golden.slice()
      flipped[at] = (golden[at] as number) ^ (1 << (at % 8))
      assert.ok(decodeOrRefuse(flipped) instanceof AshlarError, `byte ${at}`)
    }
  })

  test(`a ${type} with any byte forged, checksum included, is refused or is a valid message`, () => {
    const golden = readGolden(type)
    const headsEnd = HEADS_AT + new DataView(golden.buffer).getUint32(12)
    for (let at = 0; at < Math.min(headsEnd, 400); at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xc1, 0xff, (golden[at] as number) ^ 0x10]) {
        const forged = golden.slice()
        forged[at] = value
        const outcome = decodeOrRefuse(seal(forged))
        // What is accepted must be a message that this side would itself send.
        if (!(outcome instanceof AshlarError)) encode(outcome)
      }
    }
  })
}

test('random bytes are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.ok(decodeOrRefuse(bytes) instanceof AshlarError)
    }),
    { numRuns: 500 },
  )
})

test('random heads behind a valid header are refused or valid', () => {
  const numbers = Object.values(MESSAGE_KINDS)
  fc.assert(
    fc.property(
      fc.constantFrom(...numbers),
      fc.uint8Array({ maxLength: 150 }),
      fc.uint8Array({ maxLength: 20 }),
      (number, head, payload) => {
        const frame = new Uint8Array(28 + head.length + payload.length)
        const view = new DataView(frame.buffer)
        view.setUint32(0, 0x4153_484c)
        view.setUint8(8, MESSAGE_KINDS.refused >= number ? 1 : 3)
        view.setUint16(10, 1)
        view.setUint32(12, 12 + head.length)
        view.setUint8(16, number)
        view.setUint32(20, head.length)
        view.setUint32(24, payload.length)
        frame.set(head, 28)
        frame.set(payload, 28 + head.length)
        const outcome = decodeOrRefuse(seal(frame))
        if (!(outcome instanceof AshlarError)) encode(outcome)
      },
    ),
    { numRuns: 3000 },
  )
})

test('a frame of many messages with random damage never crashes the reader', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      (messages, damage) => {
        const frame = new Uint8Array(encode(messages))
        const headsEnd = HEADS_AT + new DataView(frame.buffer).getUint32(12)
        for (const [at, value] of damage) frame[at % headsEnd] = value
        decodeOrRefuse(seal(frame))
      },
    ),
    { numRuns: 1000 },
  )
})

const HEADER_FAULTS: readonly (readonly [string, (frame: Uint8Array) => void, RegExp])[] = [
  ['another magic', (frame) => frame.fill(0x47, 0, 4), /magic/],
  ['flags of a frame', (frame) => frame.fill(1, 9, 10), /flags/],
  ['no records', (frame) => frame.fill(0, 10, 12), /0 records/],
  ['more records than bytes', (frame) => frame.fill(1, 10, 12), /bytes expected/],
  ['a kind that does not exist', (frame) => frame.fill(200, 16, 17), /kind 200/],
  ['flags of a record', (frame) => frame.fill(1, 17, 18), /flags/],
  ['a head longer than the heads', (frame) => frame.fill(0xff, 20, 24), /ends behind the heads/],
  ['a payload that no record has', (frame) => frame.fill(1, 27, 28), /carries a payload/],
]
for (const [what, damage, reason] of HEADER_FAULTS) {
  test(`${what}: the refusal says so`, () => {
    const frame = new Uint8Array(encode([SAMPLES.answer]))
    damage(frame)
    const outcome = decodeOrRefuse(seal(frame))
    assert.ok(outcome instanceof AshlarError)
    assert.match(outcome.message, reason)
  })
}
