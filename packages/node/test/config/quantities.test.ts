import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  formatBytes,
  formatDuration,
  formatReserve,
  parseBytes,
  parseDuration,
  parseReserve,
} from '../../src/config/quantities.ts'

const usage = (part: RegExp) => ({ name: 'AshlarError', code: 'USAGE', message: part })

describe('sizes', () => {
  it('are whole bytes, alone or with a power of 1024', () => {
    assert.equal(parseBytes('4096'), 4096)
    assert.equal(parseBytes('4Ki'), 4096)
    assert.equal(parseBytes('512Mi'), 536_870_912)
    assert.equal(parseBytes('10Gi'), 10_737_418_240)
    assert.equal(parseBytes('2Ti'), 2_199_023_255_552)
    assert.equal(parseBytes('0'), 0)
  })

  it('refuse what could be read in two ways, and name it', () => {
    for (const text of ['', '10G', '10GB', '1.5Gi', '-1', ' 1Ki', '1ki', 'Gi', '0x10', '1e3']) {
      assert.throws(() => parseBytes(text), usage(new RegExp(`"${text}" is not a size`)), text)
    }
  })

  it('refuse more than a safe integer instead of rounding it', () => {
    assert.throws(() => parseBytes('9007199254740993'), usage(/largest size/))
    assert.throws(() => parseBytes('9000Ti'), usage(/largest size/))
  })

  it('are written so that reading gives the same bytes', () => {
    for (const bytes of [0, 1, 1000, 1024, 1536, 4096, 2 ** 20, 2 ** 30 * 10, 2 ** 40 + 1]) {
      assert.equal(parseBytes(formatBytes(bytes)), bytes)
    }
    assert.equal(formatBytes(2 ** 30), '1Gi')
    assert.equal(formatBytes(1536 * 1024), '1536Ki')
  })
})

describe('reserves', () => {
  it('are a size, a share of the disk, or both', () => {
    assert.deepEqual(parseReserve('512Mi'), { bytes: 512 * 2 ** 20, percent: 0 })
    assert.deepEqual(parseReserve('2.5%'), { bytes: 0, percent: 2.5 })
    assert.deepEqual(parseReserve('256Mi+5%'), { bytes: 256 * 2 ** 20, percent: 5 })
  })

  it('refuse what is neither, and name it', () => {
    for (const text of ['5%+256Mi', '1Gi+5%+1%', '1Gi+1Gi', '+', ''])
      assert.throws(() => parseReserve(text), usage(/is not a (size|reserve)/), text)
    assert.throws(() => parseReserve('100%'), usage(/"100%" is not a size/))
  })

  it('are written so that reading gives the same reserve', () => {
    for (const text of ['0', '512Mi', '5%', '256Mi+2.5%']) assert.equal(formatReserve(parseReserve(text)), text)
  })
})

describe('durations', () => {
  it('are whole numbers with a unit', () => {
    assert.equal(parseDuration('500ms'), 500)
    assert.equal(parseDuration('30s'), 30_000)
    assert.equal(parseDuration('5m'), 300_000)
    assert.equal(parseDuration('2h'), 7_200_000)
  })

  it('refuse a number without a unit, and name it', () => {
    for (const text of ['', '30', '1.5s', '-1s', '30 s', 'ms', '1d']) {
      assert.throws(() => parseDuration(text), usage(new RegExp(`"${text}" is not a duration`)), text)
    }
  })

  it('refuse what a timer would turn into at once', () => {
    assert.throws(() => parseDuration('600h'), usage(/24 days/))
    assert.equal(parseDuration('596h'), 2_145_600_000)
  })

  it('are written so that reading gives the same duration', () => {
    for (const duration of [0, 1, 999, 1000, 1500, 60_000, 90_000, 3_600_000]) {
      assert.equal(parseDuration(formatDuration(duration)), duration)
    }
    assert.equal(formatDuration(60_000), '1m')
  })
})
