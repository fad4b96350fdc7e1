import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AshlarError } from '@ashlar/proto'
import { errnoOf } from '../../../src/nbd/protocol/errno.ts'
import { RequestReader } from '../../../src/nbd/protocol/request-reader.ts'
import { type TransmissionRules, validateRequest } from '../../../src/nbd/protocol/validate.ts'
import { CMD, ERR, FLAG, type RequestFields, request } from '../support/wire.ts'

const SIZE = 1 << 20
const RULES: TransmissionRules = {
  sizeBytes: SIZE,
  readOnly: false,
  minimumBlockBytes: 1,
  maximumPayloadBytes: 64 * 1024,
  fastZero: true,
  structuredReplies: true,
  allocationContextId: 1,
}
const RANGED = [CMD.READ, CMD.WRITE, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES, CMD.BLOCK_STATUS]
const CHANGING = [CMD.WRITE, CMD.TRIM, CMD.WRITE_ZEROES]

function verdict(
  command: number,
  fields: { offset?: number; length?: number; flags?: number } = {},
  rules: Partial<TransmissionRules> = {},
): number {
  return validateRequest({ command, offset: 0, length: 512, flags: 0, ...fields }, { ...RULES, ...rules })
}

/** The verdict on a request as it comes from the wire, for numbers that a double does not hold. */
function verdictOnWire(fields: RequestFields): number | undefined {
  const reader = new RequestReader({ rules: RULES, hardPayloadLimitBytes: SIZE })
  reader.append(request(fields))
  return reader.read()?.errno
}

test('every command with a range accepts one inside the export', () => {
  for (const command of RANGED) {
    assert.equal(verdict(command), 0)
    assert.equal(verdict(command, { offset: SIZE - 1, length: 1 }), 0)
  }
})

test('nbd 51: ranges that overflow 64 bits are out of range', () => {
  for (const command of [CMD.READ, CMD.TRIM, CMD.BLOCK_STATUS]) {
    for (const offset of [2n ** 64n - 1n, 2n ** 64n - 512n, 2n ** 63n, 2n ** 53n, 2n ** 53n + 1n]) {
      for (const length of [1, 512, 0xffffffff]) {
        assert.equal(verdictOnWire({ command, offset, length }), ERR.EINVAL, `${command} ${offset} ${length}`)
      }
    }
  }
})

test('nbd 51, 58: past the end reads, trims, queries and caches are EINVAL, writes and zeroes ENOSPC', () => {
  const ranges = [
    { offset: SIZE, length: 1 },
    { offset: SIZE - 1, length: 2 },
    { offset: SIZE + 1, length: 1 },
    { offset: 1, length: SIZE },
  ]
  for (const range of ranges) {
    for (const command of [CMD.TRIM, CMD.BLOCK_STATUS, CMD.CACHE]) assert.equal(verdict(command, range), ERR.EINVAL)
    assert.equal(verdict(CMD.WRITE_ZEROES, range), ERR.ENOSPC)
    if (range.length > RULES.maximumPayloadBytes) continue
    assert.equal(verdict(CMD.READ, range), ERR.EINVAL)
    assert.equal(verdict(CMD.WRITE, range), ERR.ENOSPC)
  }
})

test('nbd 52: length zero is EINVAL for every command with a range', () => {
  for (const command of RANGED) {
    assert.equal(verdict(command, { length: 0 }), ERR.EINVAL)
    assert.equal(verdict(command, { offset: SIZE, length: 0 }), ERR.EINVAL)
  }
})

test('nbd 53, 79: unknown commands are EINVAL', () => {
  for (const command of [CMD.RESIZE, 9, 255, 65535]) assert.equal(verdict(command), ERR.EINVAL)
})

test('nbd 54, 55: each flag is valid for its own command only, FUA for all', () => {
  const valid: Record<number, number> = {
    [CMD.READ]: FLAG.FUA | FLAG.DF,
    [CMD.WRITE]: FLAG.FUA,
    [CMD.TRIM]: FLAG.FUA,
    [CMD.CACHE]: FLAG.FUA,
    [CMD.WRITE_ZEROES]: FLAG.FUA | FLAG.NO_HOLE | FLAG.FAST_ZERO,
    [CMD.BLOCK_STATUS]: FLAG.FUA | FLAG.REQ_ONE,
  }
  for (const command of RANGED) {
    for (let bit = 0; bit < 16; bit++) {
      const flags = 1 << bit
      const expected = ((valid[command] ?? 0) & flags) === 0 ? ERR.EINVAL : 0
      assert.equal(verdict(command, { flags }), expected, `command ${command}, flag ${flags}`)
    }
  }
  assert.equal(verdict(CMD.FLUSH, { length: 0, flags: FLAG.FUA }), 0)
  assert.equal(verdict(CMD.FLUSH, { length: 0, flags: FLAG.DF }), ERR.EINVAL)
})

test('nbd 55, 75: DF and FAST_ZERO are EINVAL where they were not advertised', () => {
  assert.equal(verdict(CMD.READ, { flags: FLAG.DF }, { structuredReplies: false }), ERR.EINVAL)
  assert.equal(verdict(CMD.WRITE_ZEROES, { flags: FLAG.FAST_ZERO }, { fastZero: false }), ERR.EINVAL)
  assert.equal(verdict(CMD.WRITE_ZEROES, {}, { fastZero: false }), 0)
})

test('nbd 56: ranges that do not fit the minimum block size are EINVAL', () => {
  const rules = { minimumBlockBytes: 512 }
  for (const command of RANGED) {
    assert.equal(verdict(command, { offset: 1 }, rules), ERR.EINVAL)
    assert.equal(verdict(command, { length: 511 }, rules), ERR.EINVAL)
    assert.equal(verdict(command, { offset: 512, length: 1024 }, rules), 0)
  }
})

test('nbd 59: a read-only export refuses changes with EPERM and reads as ever', () => {
  for (const command of RANGED) {
    assert.equal(verdict(command, {}, { readOnly: true }), (CHANGING as number[]).includes(command) ? ERR.EPERM : 0)
  }
})

test('nbd 60, 61: payloads are bounded, ranges without payload are not', () => {
  const length = RULES.maximumPayloadBytes + 1
  assert.equal(verdict(CMD.READ, { length }), ERR.EINVAL)
  assert.equal(verdict(CMD.WRITE, { length }), ERR.EINVAL)
  for (const command of [CMD.TRIM, CMD.WRITE_ZEROES, CMD.BLOCK_STATUS, CMD.CACHE]) {
    assert.equal(verdict(command, { length }), 0)
    assert.equal(verdict(command, { length: 0xffffffff }, { sizeBytes: 2 ** 40 }), 0)
  }
})

test('nbd 71: FLUSH has no range', () => {
  assert.equal(verdict(CMD.FLUSH, { length: 0 }), 0)
  assert.equal(verdict(CMD.FLUSH, { length: 1 }), ERR.EINVAL)
  assert.equal(verdict(CMD.FLUSH, { offset: 1, length: 0 }), ERR.EINVAL)
})

test('nbd 76: BLOCK_STATUS needs a selected context', () => {
  assert.equal(verdict(CMD.BLOCK_STATUS, {}, { allocationContextId: undefined }), ERR.EINVAL)
})

test('nbd 57: failures of a device become error numbers that the protocol knows', () => {
  assert.equal(errnoOf(new AshlarError('NO_SPACE', 'full')), ERR.ENOSPC)
  assert.equal(errnoOf(new AshlarError('READ_ONLY', 'no')), ERR.EPERM)
  assert.equal(errnoOf(new AshlarError('TIMEOUT', 'late')), ERR.EIO)
  assert.equal(errnoOf(new AshlarError('CLOSED', 'closed')), ERR.ESHUTDOWN)
  assert.equal(errnoOf(new AshlarError('OK', 'a failure that calls itself success')), ERR.EIO)
  for (const strange of [new Error('x'), 'text', undefined, null, { code: 'ENOMEM' }])
    assert.equal(errnoOf(strange), ERR.EIO)
})
