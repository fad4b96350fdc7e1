import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { AshlarError, KIB } from '@ashlar/proto'
import { median, percentile, spread } from '../kit/statistics.ts'
import { parseFioOutput, parseIopsLog } from './fio-output.ts'
import { OVERWRITE, parseJobFile, writeJobFile } from './jobs.ts'
import { type JobRun, summarize } from './measure.ts'
import { parseOptions } from './options.ts'
import { parseBusySeconds, parseCpuSeconds, parseMemory, secondsAt } from './processes.ts'
import { selfTimes } from './profile.ts'
import { layOutTable, ratios } from './report.ts'

const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8')

describe('what fio says', () => {
  test('a mixed job is summed up, and of the latencies of its directions the worse one counts', async () => {
    const figures = parseFioOutput(await read('fixtures/mixed.json'))
    assert.equal(figures.operations, 67_009 + 28_754)
    assert.equal(Math.round(figures.operationsPerSecond), 6382)
    assert.equal(figures.runtimeSeconds, 15.004)
    assert.equal(Math.round(figures.bytesPerSecond / 1e4), 2615)
    assert.equal(figures.latency.p50Us, 3227.648)
    assert.equal(figures.latency.maxUs, 94_172.013)
    assert.equal(figures.endedAtMs, 1_795_523_676_062)
    assert.ok(Math.abs(figures.fioCpuSeconds - 2.758) < 0.001)
  })

  test('a job that failed, measured nothing, or wrote no JSON is an error and no figure', async () => {
    const text = await read('fixtures/mixed.json')
    const failed = text.replace('"error": 0', '"error": 5')
    assert.throws(() => parseFioOutput(failed), /fio failed with errno 5/)
    assert.throws(() => parseFioOutput(text.replaceAll(/"total_ios": \d+/g, '"total_ios": 0')), /no operation/)
    assert.throws(() => parseFioOutput('fio: no such engine'), /no JSON: fio: no such engine/)
    assert.throws(() => parseFioOutput(text.replaceAll('"99.900000"', '"99.500000"')), /no percentile 99.9/)
  })

  test('the log gives the operations of each second, both directions together, and the end that has no line', async () => {
    const { runtimeSeconds, operations } = parseFioOutput(await read('fixtures/mixed.json'))
    const seconds = parseIopsLog(await read('fixtures/mixed_iops.1.log'), runtimeSeconds, operations)
    assert.equal(seconds.length, 15)
    const sum = seconds.reduce((total, second) => total + second, 0)
    assert.ok(Math.abs(sum - operations) < operations / 500, `${sum} of ${operations}`)
    assert.ok(Math.min(...seconds) > 1000, seconds.join())
  })

  test('a second in which nothing completed has no line and counts as zero', () => {
    const log = '1000, 500, 1, 0, 0\n2000, 400, 1, 0, 0\n4000, 300, 1, 0, 0\n'
    assert.deepEqual(parseIopsLog(log, 5.001, 1210), [500, 400, 0, 300, 10])
  })

  test('a line that comes late belongs to the seconds that it covers', () => {
    assert.deepEqual(parseIopsLog('1000, 100, 0\n2400, 100, 0\n3000, 200, 0\n', 3, 360), [100, 100, 160])
  })

  test('what is behind the last whole second counts for none', () => {
    assert.deepEqual(parseIopsLog('1000, 500, 1\n', 1.5, 540), [500])
    assert.deepEqual(parseIopsLog('1000, 500, 1\n1999, 400, 1\n', 1.999, 900), [500, 400])
  })

  test('a line that is none is an error', () => {
    assert.throws(() => parseIopsLog('1000; 500\n', 2, 1), /cannot read a line of fio's log: "1000; 500"/)
  })
})

describe('jobs', () => {
  test('every job of jobs.fio is understood', async () => {
    const { global, jobs } = parseJobFile(await read('jobs.fio'))
    assert.equal(global.get('percentile_list'), '50:99:99.9')
    assert.equal(jobs.length, 11)
    assert.deepEqual(
      jobs.filter(({ kind }) => kind !== 'write').map(({ name }) => name),
      ['randread-4k-qd1', 'randread-4k-qd32', 'seqread-1m-qd8', 'mixed-4k-qd32'],
    )
    assert.equal(jobs.find(({ name }) => name === 'randwrite-64k-qd16')?.blockSizeBytes, 64 * KIB)
  })

  test('a job file of one job: overrides win over what all share, the job over both', async () => {
    const { global } = parseJobFile(await read('jobs.fio'))
    const overrides = Object.entries({ runtime: '7', uri: 'nbd://h/v' })
    const text = writeJobFile(global, OVERWRITE, new Map(overrides))
    const again = parseJobFile(text)
    assert.equal(again.global.get('runtime'), '7')
    assert.equal(again.global.get('uri'), 'nbd://h/v')
    assert.equal(again.global.get('norandommap'), '1')
    assert.equal(again.jobs[0]?.settings.get('norandommap'), '0')
  })

  test('a line or a size that is not understood is named', () => {
    assert.throws(() => parseJobFile('[global]\nnonsense\n'), /cannot read the line "nonsense"/)
    assert.throws(() => parseJobFile('[a]\nrw=trim\nbs=4k\n'), /job a: rw=trim is unknown/)
    assert.throws(() => parseJobFile('[a]\nrw=read\nbs=4\n'), /job a: bs=4 is not a size/)
  })
})

describe('statistics', () => {
  test('the median of an even number of values lies between the two in the middle', () => {
    assert.equal(median([5, 1, 9]), 5)
    assert.equal(median([4, 1, 9, 2]), 3)
    assert.throws(() => median([]), RangeError)
  })

  test('a percentile is one of the values: that which its share does not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, at) => 100 - at)
    assert.deepEqual(
      [0, 0.5, 0.99, 1].map((share) => percentile(hundred, share)),
      [1, 50, 99, 100],
    )
    assert.throws(() => percentile([], 0.5), RangeError)
  })

  test('the spread is the distance between the extremes by the median', () => {
    assert.equal(spread([90, 100, 120]), 0.3)
    assert.equal(spread([7, 7]), 0)
  })

  test('of several runs the median counts, but of the worst seconds the worst', () => {
    const runs = [run(100, 10), run(300, 90), run(200, 80)]
    const result = summarize('ashlar', 'job', runs)
    assert.equal(result.median.operationsPerSecond, 200)
    assert.equal(result.median.worstSecond, 10)
    assert.equal(result.spread, 1)
    assert.deepEqual(result.processes, [{ name: 'n1', cpuUs: 20, residentBytes: 2000, anonymousBytes: 200 }])
  })

  test('ratios are those of the jobs that both ran', () => {
    const ours = summarize('ashlar', 'both', [run(300, 1)])
    const theirs = summarize('ceph', 'both', [run(100, 1)])
    const alone = summarize('ceph', 'alone', [run(100, 1)])
    assert.deepEqual(ratios([ours, theirs, alone]), [{ job: 'both', rate: 3, cpu: 3, p99: 1 }])
  })
})

function run(rate: number, worstSecond: number): JobRun {
  return {
    figures: {
      operationsPerSecond: rate,
      bytesPerSecond: rate * 4096,
      worstSecond,
      p50Us: 1,
      p99Us: 2,
      p999Us: 3,
      maxUs: 4,
      cpuUs: rate / 10,
      fioCpuUs: 1,
      otherProcessors: 0,
    },
    processes: [{ name: 'n1', cpuUs: rate / 10, residentBytes: rate * 10, anonymousBytes: rate }],
    seconds: [worstSecond],
    window: { fromMs: 0, toMs: 1 },
    operations: rate,
  }
}

describe('processes', () => {
  test('CPU of a process whose name holds blanks and parentheses', () => {
    const stat = '4242 (a) (b c) S 1 4242 4242 0 -1 4194560 9000 0 3 0 1234 567 8 9 20 0 23 0 100 200 300'
    assert.equal(parseCpuSeconds(stat), 18.01)
  })

  test('CPU and memory of this very process are read', async () => {
    assert.ok(parseCpuSeconds(await read(`file:///proc/${process.pid}/stat`)) > 0)
    const memory = parseMemory(await read(`file:///proc/${process.pid}/status`))
    assert.ok(memory.anonymousBytes > 1024 * KIB)
    assert.ok(memory.residentBytes > memory.anonymousBytes)
  })

  test('idle and waiting processors are not busy', () => {
    assert.equal(parseBusySeconds('cpu  100 20 300 9999 8888 1 2 0 0 0\ncpu0 1 1 1 1\n'), 4.23)
  })

  test('CPU between two samples is linear, and outside of all that of the nearest one', () => {
    const samples = [
      { atMs: 1000, seconds: [1] },
      { atMs: 2000, seconds: [2] },
      { atMs: 3000, seconds: [6] },
    ]
    assert.equal(secondsAt(samples, 2500, 0), 4)
    assert.equal(secondsAt(samples, 2000, 0), 2)
    assert.equal(secondsAt(samples, 500, 0), 1)
    assert.equal(secondsAt(samples, 9000, 0), 6)
  })
})

describe('profiles', () => {
  test('self time is cut to the windows and divided by the operations', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 4 })
    const profile = {
      nodes: [
        { id: 1, callFrame: frame('step', 'file:///x/packages/node/dist/core/replication/primary.js') },
        { id: 2, callFrame: frame('(idle)', '') },
        { id: 3, callFrame: frame('send', 'file:///x/node_modules/ws/lib/sender.js') },
      ],
      startTime: 1000,
      samples: [1, 1, 2, 3],
      timeDeltas: [100, 100, 100, 100],
    }
    const { functions, parts } = selfTimes(profile, [{ from: 1150, to: 1450 }], 10)
    assert.deepEqual(parts, [
      { name: 'node/core/replication', us: 10 },
      { name: '(idle)', us: 10 },
      { name: 'ws', us: 10 },
    ])
    assert.equal(functions[0]?.name, 'step node/dist/core/replication/primary.js:5')
  })
})

const KNOWN = { jobs: ['a', 'b'], pieces: ['disk'], idle: [], delay: [], growth: ['volumes'] }

describe('options', () => {
  test('jobs and flags are read, sizes as everywhere', () => {
    const options = parseOptions(['a', '--size', '1Gi', '--repeats', '5', '--against', 'ceph'], KNOWN)
    assert.deepEqual([options?.what, options?.names], ['jobs', ['a']])
    assert.equal(options?.sizeBytes, 1024 ** 3)
    assert.equal(options?.repeats, 5)
    assert.equal(options?.against, 'ceph')
    const flags = parseOptions(['--against', 'node=--v8-pool-size=4 --jitless'], KNOWN)?.against
    assert.deepEqual(flags, { nodeFlags: ['--v8-pool-size=4', '--jitless'] })
  })

  test('pieces have stores of their own size, and can be named', () => {
    const options = parseOptions(['pieces', 'disk'], KNOWN)
    assert.deepEqual([options?.what, options?.names, options?.sizeBytes], ['pieces', ['disk'], 512 * 1024 ** 2])
    assert.equal(parseOptions([], KNOWN)?.sizeBytes, 4 * 1024 ** 3)
  })

  test('idle volumes are watched longer than a job, and their count can be said', () => {
    const options = parseOptions(['idle', '--volumes', '7'], KNOWN)
    assert.deepEqual([options?.what, options?.volumes, options?.seconds], ['idle', 7, 60])
    assert.equal(parseOptions(['idle', '--seconds', '5'], KNOWN)?.seconds, 5)
  })

  test('delays are measured in three turns, over three nodes or more', () => {
    const options = parseOptions(['delay'], KNOWN)
    assert.deepEqual([options?.what, options?.repeats, options?.seconds, options?.nodes], ['delay', 3, 5, 3])
    assert.equal(parseOptions(['idle', '--nodes', '2'], KNOWN)?.nodes, 2)
  })

  test('growth is measured once, briefly, with a working set, along the axes that are named', () => {
    const options = parseOptions(['growth', 'volumes', '--plots', 'plots'], KNOWN)
    assert.deepEqual([options?.what, options?.names, options?.plotDirectory], ['growth', ['volumes'], 'plots'])
    assert.deepEqual([options?.sizeBytes, options?.seconds, options?.repeats], [256 * 1024 ** 2, 4, 1])
  })

  for (const [args, message] of [
    [['c'], /no such job: c/],
    [['--against', 'gluster'], /--against gluster: there are ceph, scrub, upkeep, and node=/],
    [['--repeats', '0'], /--repeats 0: give a whole number from 1 on/],
    [['--size', '4G'], /"4G" is not a size/],
    [['--sise', '4Gi'], /--sise/],
    [['pieces', 'a'], /no such piece: a/],
    [['a', 'pieces'], /no such job: pieces/],
    [['jobs'], /no such job: jobs/],
    [['growth', 'volume'], /no such axis: volume/],
    [['idle', 'a'], /no such part of idle: a/],
    [['delay', 'a'], /no such part of delay: a/],
    [['delay', '--nodes', '2'], /--nodes 2: give a whole number from 3 on/],
    [['idle', '--volumes', '0'], /--volumes 0: give a whole number from 1 on/],
  ] as const) {
    test(`${args.join(' ')} is refused with its reason`, () => {
      assert.throws(
        () => parseOptions(args, KNOWN),
        (error) => error instanceof AshlarError && error.code === 'USAGE' && message.test(error.message),
      )
    })
  }
})

test('a table aligns names to the left and figures to the right', () => {
  assert.equal(layOutTable(['JOB', 'US'], [['a-job', '7']]), 'JOB    US\na-job   7\n')
})
