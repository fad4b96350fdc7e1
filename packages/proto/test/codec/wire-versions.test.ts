import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AshlarError, type MessageType } from '@ashlar/proto'
import { decodeFrame, encodeFrame, HANDSHAKE_WIRE_VERSION } from '@ashlar/proto/codec'
import { integer, list, record, type Shape, since, variants } from '../../src/codec/shapes.ts'
import { SAMPLES } from '../support/sample-messages.ts'

const number = integer('number', 0, 100)
interface Body {
  readonly a: number
  readonly b?: number
}
const BODY = record<Body>('body', {}, { a: number, b: since(3, number) })

test('a field since a version is not written in an older one, and read from it as absent', () => {
  const whole: Body = { a: 1, b: 2 }
  assert.deepEqual(BODY.write(whole, 3), [1, 2])
  assert.deepEqual(BODY.write(whole, 2), [1])
  assert.deepEqual(BODY.read([1, 2], 3), whole)
  assert.deepEqual(BODY.read([1, 2], 2), { a: 1 })
  assert.deepEqual(BODY.read([1], 3), { a: 1 })
})

test('lists hand the version on to their items', () => {
  const bodies = list('bodies', BODY, 9)
  assert.deepEqual(bodies.write([{ a: 1, b: 2 }], 2), [[1]])
  assert.deepEqual(bodies.read([[1, 2]], 2), [{ a: 1 }])
})

test('a variant since a version can be neither sent nor read in an older one', () => {
  type Command = { readonly do: 'old' | 'new'; readonly a: number }
  const arm = (word: Command['do']) => record<Command>(word, { do: word }, { a: number })
  const commands = variants<Command>('command', 'do', {
    old: arm('old') as unknown as Shape<never>,
    new: since(3, arm('new')) as unknown as Shape<never>,
  })
  assert.deepEqual(commands.read(commands.write({ do: 'new', a: 1 }, 3), 3), { do: 'new', a: 1 })
  assert.throws(() => commands.write({ do: 'new', a: 1 }, 2), /command new does not exist in wire version 2/)
  assert.throws(() => commands.read([1, [1]], 2), AshlarError)
  assert.deepEqual(commands.read(commands.write({ do: 'old', a: 1 }, 2), 2), { do: 'old', a: 1 })
})

const REFUSED: readonly (readonly [what: string, type: MessageType, wire: number, link: number, reason: RegExp])[] = [
  ['a frame of an older version', 'ack', 2, 3, /wire version 2 on a link that speaks 3/],
  ['a frame of a newer version', 'ack', 3, 2, /wire version 3 on a link that speaks 2/],
  ['a frame before the handshake is over', 'ack', 3, HANDSHAKE_WIRE_VERSION, /before the handshake is over/],
  ['a frame of the handshake on an open link', 'hello', 3, 3, /a frame of the handshake after the handshake/],
]
for (const [what, type, wire, link, reason] of REFUSED) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => decodeFrame(encodeFrame([SAMPLES[type]], wire), link),
      (error) => error instanceof AshlarError && error.code === 'BAD_FRAME' && reason.test(error.message),
    )
  })
}

test('a frame is read on a link of its own version', () => {
  for (const wire of [2, 3]) assert.deepEqual(decodeFrame(encodeFrame([SAMPLES.ack], wire), wire), [SAMPLES.ack])
  assert.deepEqual(decodeFrame(encodeFrame([SAMPLES.hello], 3), HANDSHAKE_WIRE_VERSION), [SAMPLES.hello])
})
