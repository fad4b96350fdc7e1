import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AshlarError, LIMITS } from '@ashlar/proto'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { packBody, unpackBody } from '../../src/codec/msgpack.ts'

function refusal(body: Uint8Array): AshlarError {
  try {
    unpackBody(body)
  } catch (error) {
    assert.ok(error instanceof AshlarError)
    assert.equal(error.code, 'BAD_FRAME')
    return error
  }
  throw new assert.AssertionError({ message: 'the body was accepted' })
}

const permissive = new Packr({ moreTypes: true, useRecords: false })

const FORBIDDEN: readonly (readonly [string, Uint8Array])[] = [
  ['a map', permissive.pack({ a: 1 })],
  ['a map with the key __proto__', new Uint8Array([0x81, 0xa9, ...Buffer.from('__proto__'), 0x80])],
  ['a record definition (extension 0x72)', new Packr().pack({ a: 1 })],
  ['a record definition by hand', new Uint8Array([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01])],
  ['a Map', permissive.pack(new Map([[1, 2]]))],
  ['a Set', permissive.pack(new Set([1, 2]))],
  ['a Date', permissive.pack(new Date(0))],
  ['a RegExp (extension 0x78)', permissive.pack(/(a+)+$/)],
  ['an Error (extension 0x65)', permissive.pack(new Error('no'))],
  ['a typed array', permissive.pack(new Float64Array(2))],
  ['a big integer (extension 0x42)', new Uint8Array([0xc7, 3, 0x42, 1, 2, 3])],
  ['a reference (extension 0x70)', new Uint8Array([0xd6, 0x70, 0, 0, 0, 1])],
  ['undefined as an extension', new Uint8Array([0xd4, 0, 0])],
  ['the byte that is never used', new Uint8Array([0xc1])],
]
for (const [what, value] of FORBIDDEN) {
  test(`${what} never reaches the decoder`, () => {
    assert.match(refusal(value).message, /has no place in a message/)
    assert.match(refusal(new Uint8Array([0x92, 0x01, ...value])).message, /has no place in a message/)
  })
}

test('a map of a megabyte is refused at its first byte', () => {
  const body = new Uint8Array(LIMITS.controlBytes).fill(0x01)
  body.set([0xdf, 0x00, 0x07, 0x00, 0x00])
  assert.match(refusal(body).message, /0xdf/)
})

test('arrays that nest deeper than any message are refused before the stack grows', () => {
  assert.match(refusal(new Uint8Array(200_000).fill(0x91)).message, /nest deeper/)
})

test('lengths that the body cannot hold are refused before anything is allocated', () => {
  assert.match(refusal(new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff])).message, /array of 4294967295/)
  assert.match(refusal(new Uint8Array([0xc6, 0xff, 0xff, 0xff, 0xff])).message, /too early/)
  assert.match(refusal(new Uint8Array([0xdb, 0x7f, 0xff, 0xff, 0xff])).message, /too early/)
})

test('bytes behind the value are refused', () => {
  assert.match(refusal(new Uint8Array([0x01, 0x02])).message, /behind a MessagePack value/)
})

test('a body longer than LIMITS.controlBytes is neither read nor written', () => {
  assert.match(refusal(new Uint8Array(LIMITS.controlBytes + 1)).message, /at most/)
  assert.throws(() => packBody('x'.repeat(LIMITS.controlBytes)), /at most/)
})

test('what is written is read back: nested arrays of nil, booleans, numbers, strings and bytes', () => {
  const leaf = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    // msgpackr writes -0 as 0, and no field of a message tells them apart.
    fc.double({ noNaN: true }).map((value) => value + 0),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 40 })), { maxLength: 40 }), (value) => {
      assert.deepStrictEqual(unpackBody(new Uint8Array(packBody(value))), value)
    }),
    { numRuns: 300 },
  )
})

test('a string as long as a message may carry is read back', () => {
  for (const length of [0, 31, 32, 255, 256, 65_535, 65_536]) {
    const text = 'é'.repeat(length)
    assert.deepStrictEqual(unpackBody(new Uint8Array(packBody([text]))), [text])
  }
})

test('arrays up to the largest list are read back', () => {
  for (const length of [15, 16, 4096, 65_536]) {
    const items = Array.from({ length }, (_, i) => i)
    assert.deepStrictEqual(unpackBody(new Uint8Array(packBody(items))), items)
  }
})

test('random bytes are refused or decode to plain values', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (body) => {
      try {
        unpackBody(body)
      } catch (error) {
        assert.ok(error instanceof AshlarError)
      }
    }),
    { numRuns: 3000 },
  )
})
