import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KIB, MIB } from '@ashlar/proto'
import { LEVELDB_DEFAULTS } from '../../../../packages/node/src/storage/index.ts'
import { parseWrittenBytes } from '../../processes.ts'
import { engineTable } from './report.ts'
import { type EngineTurn, engineResult, sumOf } from './result.ts'
import { ENGINE_VARIANTS } from './variants.ts'

const UNITS: Readonly<Record<string, number>> = { KiB: KIB, MiB: MIB }
const OPTIONS: Readonly<Record<string, string>> = {
  'write buffer': 'writeBufferBytes',
  'table file': 'maxFileBytes',
  'table block': 'tableBlockBytes',
  cache: 'cacheBytes',
  'open files': 'maxOpenFiles',
}
const turn = (writesPerSecond: number): EngineTurn => ({
  writes: { operations: writesPerSecond * 2, seconds: 2, cpuSeconds: 1, writtenBytes: 5 * writesPerSecond * 2 * 4096 },
  reads: { operations: 4000, seconds: 1, cpuSeconds: 0.02, writtenBytes: 0 },
  anonymousBytes: 100 * MIB,
})
const named = (name: string) => {
  const variant = ENGINE_VARIANTS.find((one) => one.name === name)
  assert.ok(variant !== undefined, name)
  return variant
}

describe('the engine by itself', () => {
  test('a variant of an option differs from ours in what its name says, and in nothing else', () => {
    for (const { name, change } of ENGINE_VARIANTS) {
      if (change.engine === undefined) continue
      const [, option = '', number = '', unit = ''] = /^(\D+) ([\d,]+) ?(\w*)$/.exec(name) ?? []
      const value = Number(number.replace(',', '')) * (UNITS[unit] ?? 1)
      assert.deepEqual(change, { engine: { [OPTIONS[option] ?? name]: value } })
      const [key] = Object.keys(change.engine) as (keyof typeof LEVELDB_DEFAULTS)[]
      assert.ok(key !== undefined && LEVELDB_DEFAULTS[key] !== value, `${name} is ours`)
    }
  })

  test('ours comes first, and a way to use the engine changes none of its options', () => {
    const others = ENGINE_VARIANTS.filter(({ change }) => change.engine === undefined)
    assert.equal(ENGINE_VARIANTS[0], others[0])
    assert.deepEqual(others, [
      { name: 'ours', change: {} },
      { name: 'compression', change: { compression: true } },
      { name: 'two stores', change: { databases: 2 } },
      { name: 'batch of 1', change: { atOnce: 1 } },
      { name: 'batch of 64', change: { atOnce: 64 } },
      { name: 'values of 64 KiB', change: { valueBytes: 64 * KIB, atOnce: 1 } },
    ])
  })

  test('of several turns the median counts', () => {
    const result = engineResult(named('ours'), [turn(1000), turn(4000), turn(2000)])
    assert.deepEqual(result, {
      name: 'ours',
      writesPerSecond: 2000,
      writeCpuUs: 250,
      batchUs: 8000,
      amplification: 5,
      readsPerSecond: 4000,
      readCpuUs: 5,
      anonymousBytes: 100 * MIB,
    })
  })

  test('the parts of a turn are one, of which each block counts the same', () => {
    const parts = [turn(1000), turn(4000)].map(({ writes }) => writes)
    assert.deepEqual(sumOf(parts), { operations: 10_000, seconds: 4, cpuSeconds: 2, writtenBytes: 50_000 * 4096 })
  })

  test('the time of a batch is that of all its blocks, and of two stores each has one in flight', () => {
    const batchUs = (name: string) => engineResult(named(name), [turn(1000)]).batchUs
    assert.equal(batchUs('batch of 1'), 1000)
    assert.equal(batchUs('batch of 64'), 64_000)
    assert.equal(batchUs('two stores'), 32_000)
    assert.equal(batchUs('values of 64 KiB'), 16_000)
  })

  test('the table has a line for each variant', () => {
    const lines = engineTable([engineResult(named('ours'), [turn(12_000)])]).split('\n')
    assert.match(lines[0] ?? '', /^ENGINE +WRITES\/s +CPU us +BATCH us +WRITTEN +READS\/s +CPU us +ANON MiB$/)
    assert.match(lines[1] ?? '', /^ours +12,000 +41.7 +1,333 +5.0 +4,000 +5.0 +100$/)
  })

  test('bytes written are those of system calls, not those that reached the disk', () => {
    assert.equal(parseWrittenBytes('rchar: 1\nwchar: 4096\nsyscr: 3\nwrite_bytes: 8192\n'), 4096)
  })
})
