import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AshlarError, ERRORS, type ErrorCode, errorCodeOf, InvariantError, invariant } from '@ashlar/proto'

/** Numbers and names as they were first published: they are on the wire and in scripts, and never change. */
const PUBLISHED: Readonly<Record<number, ErrorCode>> = {
  0: 'OK',
  1: 'INTERNAL',
  2: 'USAGE',
  3: 'NOT_FOUND',
  4: 'EXISTS',
  5: 'CONFLICT',
  6: 'NO_CONTROL',
  7: 'NOT_PRIMARY',
  8: 'WAIT',
  9: 'FENCED',
  10: 'INDETERMINATE',
  11: 'TIMEOUT',
  12: 'BUSY',
  13: 'NO_SPACE',
  14: 'CHECKSUM',
  15: 'DAMAGED',
  16: 'TOO_FEW_NODES',
  17: 'READ_ONLY',
  18: 'OUT_OF_RANGE',
  19: 'CANCELLED',
  20: 'CLOSED',
  21: 'HANDSHAKE',
  22: 'ATTACHED',
  23: 'UNHEALTHY',
  24: 'BAD_FRAME',
  25: 'ABORTED',
}

test('published error numbers keep their names', () => {
  for (const [number, code] of Object.entries(PUBLISHED)) assert.equal(errorCodeOf(Number(number)), code)
})

test('every code has a number of its own, and the number leads back to it', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) assert.equal(errorCodeOf(ERRORS[code].number), code)
})

test('a number of a later version has no code here', () => {
  assert.equal(errorCodeOf(65_535), undefined)
})

test('every failure has an NBD error, an HTTP status of failure and an exit code that the command line documents', () => {
  for (const [code, row] of Object.entries(ERRORS)) {
    if (code === 'OK') continue
    assert.ok([1, 5, 12, 22, 28, 75, 95, 108].includes(row.nbd), `${code}: NBD knows error ${row.nbd}`)
    assert.ok(row.http >= 400 && row.http < 600, `${code}: HTTP ${row.http}`)
    assert.ok(row.exit >= 1 && row.exit <= 8, `${code}: exit ${row.exit}`)
  }
})

test('an error carries its code, its hint, its details, its cause and the caller’s stack', () => {
  const cause = new Error('below')
  const error = new AshlarError('ATTACHED', 'taken', { hint: 'wait', cause, details: { holder: 'h' } })
  assert.equal(error.retry, 'never')
  assert.equal(new AshlarError('NOT_PRIMARY', 'x').retry, 'refresh')
  assert.deepEqual([error.code, error.hint, error.details, error.cause], ['ATTACHED', 'wait', { holder: 'h' }, cause])
  assert.match(error.stack ?? '', /errors\.test/)
  assert.deepEqual(new AshlarError('WAIT', 'x').details, {})
})

test('an invariant that does not hold throws, one that holds does not', () => {
  invariant(1, 'holds')
  assert.throws(
    () => invariant(undefined, 'broken promise'),
    (error) => {
      assert.ok(error instanceof InvariantError)
      assert.ok(!(error instanceof AshlarError))
      return error.message === 'broken promise'
    },
  )
})
