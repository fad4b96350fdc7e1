import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { GIB, KIB, MIB } from '@ashlar/proto'
import { type JobFile, parseJobFile } from '../jobs.ts'
import { AXIS_NAMES, axesOf, type GrowthCase } from './axes.ts'
import { fillsOf, jobOf } from './jobs.ts'
import { plotSvg } from './plot.ts'
import { plotOf } from './plots.ts'
import { type GrowthPoint, growthsOf } from './points.ts'
import { growthTable } from './report.ts'

const WORKING_SET = 256 * MIB
const AXES = axesOf(WORKING_SET)
const jobFile = async (): Promise<JobFile> =>
  parseJobFile(await readFile(new URL('../jobs.fio', import.meta.url), 'utf8'))

function point(label: string, job: string, figures: Partial<GrowthPoint> = {}): GrowthPoint {
  return {
    ...{ axis: 'volumes', label, job, operationsPerSecond: 1000, p99Us: 9000, cpuUs: 100 },
    ...{ nodeAnonymousBytes: 300 * MIB, gatewayAnonymousBytes: 50 * MIB, nodes: 3, extents: 1, otherProcessors: 0 },
    ...figures,
  }
}

describe('the cases of an axis', () => {
  test('every axis has cases that differ in their labels, and jobs that can be made', async () => {
    const file = await jobFile()
    for (const name of AXIS_NAMES) {
      const { cases, jobs } = AXES[name]
      assert.equal(new Set(cases.map(({ label }) => label)).size, cases.length, name)
      for (const job of jobs) assert.equal(jobOf(file, job, cases[0] as GrowthCase, WORKING_SET).name, job)
    }
  })

  test('a case differs from the others of its axis in what the axis is about', () => {
    assert.deepEqual(
      AXES.size.cases.map(({ sizeBytes }) => sizeBytes / GIB),
      [1, 10, 100],
    )
    assert.deepEqual(
      AXES.extents.cases.map(({ label }) => label),
      ['16', '256', '4096'],
    )
    assert.deepEqual(
      AXES.replicas.cases.map(({ nodes, replicas }) => nodes - replicas),
      [0, 0, 0, 0, 0],
    )
    assert.deepEqual(
      AXES.volumes.cases.map(({ idleVolumes }) => idleVolumes),
      [0, 9, 99, 999],
    )
  })

  test('the blocks of a working set in a larger volume are the same for filling, reading and writing it', async () => {
    const file = await jobFile()
    const [, large] = AXES.size.cases
    assert.ok(large !== undefined)
    const [fill, overwrite, ...none] = fillsOf(large, WORKING_SET)
    assert.deepEqual(none, [])
    // 65,536 blocks in 10 GiB: each is written once, 160 KiB from the last.
    assert.deepEqual(
      ['rw', 'bs', 'io_size'].map((name) => fill?.settings.get(name)),
      [`write:${156 * KIB}`, '4k', `${WORKING_SET}`],
    )
    const jobs = AXES.size.jobs.map((name) => jobOf(file, name, large, WORKING_SET))
    for (const job of [overwrite, ...jobs]) assert.equal(job?.settings.get('blockalign'), `${160 * KIB}`)
  })

  test('a volume that is its working set is filled at random in its own blocks', async () => {
    const file = await jobFile()
    const large = AXES.blocks.cases.at(-1) as GrowthCase
    const fills = fillsOf(large, WORKING_SET)
    assert.equal(fills.length, 1)
    assert.deepEqual(
      ['rw', 'bs', 'iodepth', 'norandommap'].map((name) => fills[0]?.settings.get(name)),
      ['randwrite', '64k', '8', '0'],
    )
    const read = jobOf(file, 'randread-64k-qd16', large, WORKING_SET)
    assert.deepEqual([read.kind, read.blockSizeBytes, read.settings.get('rw')], ['read', 64 * KIB, 'randread'])
    assert.equal(read.settings.get('blockalign'), undefined)
  })

  test('connections share the depth of the queue', async () => {
    const file = await jobFile()
    const depths = AXES.connections.cases.map((growing) => {
      const { settings } = jobOf(file, 'randread-4k-qd32', growing, WORKING_SET)
      return [settings.get('numjobs'), settings.get('iodepth')].join()
    })
    assert.deepEqual(depths, ['1,32', '2,16', '4,8', '8,4', '16,2'])
  })
})

describe('growth', () => {
  test('is the last case by the first, for each job of each axis', () => {
    const points = [
      point('1', 'write'),
      point('1', 'read'),
      point('10', 'write', { cpuUs: 500 }),
      point('100', 'write', { cpuUs: 130, operationsPerSecond: 800, nodeAnonymousBytes: 450 * MIB }),
      point('100', 'read', { cpuUs: 110 }),
      point('4', 'read', { axis: 'blocks' }),
    ]
    assert.deepEqual(
      growthsOf(points).map(({ axis, job, cpu, time, memory }) => [axis, job, cpu, time, memory]),
      [
        ['volumes', 'write', 1.3, 1.25, 1.5],
        ['volumes', 'read', 1.1, 1, 1],
      ],
    )
  })

  test('by more than a fifth is named in the table', () => {
    const rows = growthTable([
      ...[point('1', 'write'), point('9', 'write', { cpuUs: 121, operationsPerSecond: 830 })],
      ...[point('1', 'read'), point('9', 'read', { cpuUs: 119, operationsPerSecond: 850 })],
    ]).split('\n')
    assert.match(rows[1] ?? '', /^volumes +1 to 9 +write +100 to 121 +1\.21 +1\.20 +1\.00 +CPU, TIME$/)
    assert.match(rows[2] ?? '', /1\.19 +1\.18 +1\.00$/)
  })
})

describe('a plot', () => {
  const points = [
    ...[point('1', 'write', { operationsPerSecond: 2500 }), point('1', 'read & more', { operationsPerSecond: 15_000 })],
    ...[point('10', 'write', { operationsPerSecond: 2400 }), point('100', 'write', { operationsPerSecond: 1200 })],
  ]

  test('has a panel for each cost, a curve for each job, and a value at each point', () => {
    const plot = plotOf(points, 'volumes', 'volumes, the load on one')
    assert.deepEqual(plot.cases, ['1', '10', '100'])
    assert.deepEqual(
      plot.panels[0]?.lines.map(({ values }) => values),
      [
        [2500, 2400, 1200],
        [15_000, undefined, undefined],
      ],
    )
    const svg = plotSvg(plot)
    assert.equal(svg.match(/class="curve"/g)?.length, 6)
    assert.equal(svg.match(/<circle/g)?.length, 3 * points.length)
    for (const content of ['>2,400<', '>volumes, the load on one<', '>CPU of one operation, microseconds<'])
      assert.ok(svg.includes(content), content)
    assert.ok(svg.includes('read &amp; more') && !svg.includes('read & more'))
    assert.match(svg, /prefers-color-scheme:dark/)
  })

  test('on a logarithmic scale the same factor is the same distance, and every point lies inside', () => {
    const panel = { title: 'x', scale: 'logarithmic', lines: [{ name: 'a', values: [10, 100, 1000] }] } as const
    const svg = plotSvg({ title: 't', across: 'c', cases: ['a', 'b', 'c'], panels: [panel] })
    const heights = [...svg.matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y))
    const [low = 0, middle = 0, high = 0] = heights
    assert.ok(Math.abs(low - middle - (middle - high)) < 0.2, heights.join())
    assert.ok(
      heights.every((y) => y > 76 && y < 296),
      heights.join(),
    )
  })
})
