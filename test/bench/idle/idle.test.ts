import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '@ashlar/proto'
import { type IdleResult, idleTable } from './report.ts'

/**
 * Three nodes and a gateway; with volumes each node uses `more` of a processor and 10 MiB more, the gateway nothing.
 */
function result(more: number, bytesMore = 10 * MIB): IdleResult {
  const cluster = (share: number, bytes: number) => [
    ...['n1', 'n2', 'n3'].map((name) => ({ name, cpuShare: 0.02 + share, anonymousBytes: 60 * MIB + bytes })),
    { name: 'gateway', cpuShare: 0, anonymousBytes: 40 * MIB },
  ]
  const holder = { name: 'holder', cpuShare: 0.5, anonymousBytes: 500 * MIB }
  return {
    ...{ volumes: 100, extents: 400, seconds: 60 },
    without: { processes: cluster(0, 0), otherProcessors: 0 },
    with: { processes: [...cluster(more, bytesMore), holder], otherProcessors: 0.1 },
  }
}

test('the table has each process before and after, their sum, and the holder apart', () => {
  const lines = idleTable(result(0.004)).split('\n')
  assert.match(lines[0] ?? '', /^100 volumes of 400 extents, 60 s each; others kept 0.0 and 0.1 processors busy$/)
  assert.match(lines[2] ?? '', /^n1 +2\.00 +2\.40 +0\.40 +60\.0 +70\.0 +10\.0$/)
  assert.match(lines[6] ?? '', /^all that serve +6\.00 +7\.20 +1\.20 +220\.0 +250\.0 +30\.0$/)
  assert.match(lines[7] ?? '', /^holder +50\.00 +500\.0$/)
})

test('a bound is met by the worst node and by all memory together, whatever the holder needs', () => {
  const met = idleTable(result(0.004))
  assert.match(met, /CPU that a node uses more: 0\.40 %, bound 0\.50 %: met/)
  assert.match(met, /memory that all need more: 30\.0 MiB, bound 40\.0 MiB: met/)
  const missed = idleTable(result(0.006, 14 * MIB))
  assert.match(missed, /uses more: 0\.60 %, bound 0\.50 %: NOT MET/)
  assert.match(missed, /need more: 42\.0 MiB, bound 40\.0 MiB: NOT MET/)
})
