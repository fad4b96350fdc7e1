import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, seconds } from './process.mjs'

/**
 * The stages of `npm test`, in order: from the cheapest proof to the most expensive one. `together` says how many test
 * files run at once; what starts clusters of processes runs alone, so that its timings mean something.
 */
export const STAGES = {
  unit: {
    title: 'each package by itself',
    files: [
      'packages/*/test/**/*.test.ts',
      'test/tidy/**/*.test.ts',
      'test/verbs/**/*.test.ts',
      'test/bench/**/*.test.ts',
      'test/kit/**/*.test.ts',
    ],
    together: availableParallelism(),
  },
  sim: { title: 'the machines in simulation', files: ['test/sim/**/*.test.ts'], together: 1 },
  cluster: { title: 'real processes that are killed', files: ['test/cluster/**/*.test.ts'], together: 1 },
  storage: { title: 'a real store whose disk fails', files: ['test/storage/**/*.test.ts'], together: 1 },
  nbd: { title: 'real NBD clients', files: ['test/nbd/**/*.test.ts'], together: 1 },
  cli: { title: 'the command line', files: ['test/cli/**/*.test.ts'], together: 1 },
  prometheus: { title: 'metrics, alerts and dashboards', files: ['test/prometheus/**/*.test.ts'], together: 1 },
  k8s: { title: 'manifests, and the processes that they describe', files: ['test/k8s/**/*.test.ts'], together: 1 },
  containers: {
    title: 'image and compose file on a real dockerd',
    files: ['test/containers/**/*.test.ts'],
    together: 1,
  },
  docs: { title: 'what the documents promise', files: ['test/docs/**/*.test.ts'], together: 1 },
}

/** Runs the named stages, prints a summary, and resolves to 0 when every test of every stage passed. */
export async function testStages(node, names) {
  const started = performance.now()
  const directory = mkdtempSync(join(tmpdir(), 'ashlar-test-'))
  try {
    const results = []
    for (const name of names) results.push(await testStage(node, name, join(directory, `${name}.json`)))
    printSummary(results, started)
    return results.every((result) => result.passed) ? 0 : 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function testStage(node, name, summaryFile) {
  const stage = STAGES[name]
  const started = performance.now()
  const code = await run(`test ${name}: ${stage.title}`, node, [
    'scripts/verbs/run-tests.mjs',
    '--summary',
    summaryFile,
    '--together',
    String(stage.together),
    ...stage.files,
  ])
  const summary = readSummary(summaryFile)
  // A stage that finds no test proves nothing: a pattern that went stale must not look like success.
  const passed = code === 0 && summary.counts.tests > 0
  return { name, passed, took: seconds(started), ...summary }
}

/** The summary is missing when the run ended before it could write one: that is a failure, not an empty success. */
function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { counts: { tests: 0, passed: 0, failed: 0, skipped: 0 }, failed: [], skipped: [] }
  }
}

function printSummary(results, started) {
  const rows = [['STAGE', 'TESTS', 'PASSED', 'FAILED', 'SKIPPED', 'TIME', 'RESULT']]
  for (const { name, counts, took, passed } of results) {
    const result = counts.tests === 0 ? 'FAILED: no test ran' : passed ? 'ok' : 'FAILED'
    rows.push([name, counts.tests, counts.passed, counts.failed, counts.skipped, took, result].map(String))
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  process.stdout.write('\n')
  for (const row of rows) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
  for (const { name, skipped, failed } of results) {
    for (const { title, reason } of skipped) process.stdout.write(`skipped in ${name}: ${title} (${reason})\n`)
    for (const { title, file } of failed) process.stdout.write(`failed in ${name}: ${title} (${file})\n`)
  }
  const passed = results.every((result) => result.passed)
  process.stdout.write(`${passed ? 'every stage passed' : 'some stage failed'} in ${seconds(started)}\n`)
}
