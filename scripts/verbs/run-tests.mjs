/**
 * Runs the test files of one stage from source with node:test, prints the ordinary report, and writes the figures and
 * the reasons of skipped tests to a JSON file: `run-tests.mjs --summary FILE --together N GLOB...`. Runs under the
 * pinned Node only.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { summary: { type: 'string' }, together: { type: 'string' } },
})
const counts = { tests: 0, passed: 0, failed: 0, skipped: 0 }
const skipped = []
const failed = []

const events = run({
  globPatterns: positionals,
  concurrency: Number(values.together),
  execArgv: ['--conditions=ashlar-source'],
})
events.on('test:pass', (event) => {
  if (event.skip === undefined) return
  skipped.push({ title: event.name, reason: typeof event.skip === 'string' ? event.skip : 'no reason given' })
})
events.on('test:fail', (event) => {
  process.exitCode = 1
  // A suite fails because a test in it failed: that test is the one to name.
  if (event.details.type === 'suite') return
  failed.push({ title: event.name, file: relative(process.cwd(), event.file ?? '') })
})
events.on('test:summary', (event) => {
  // Every file gives a summary of its own; the one without a file covers all of them.
  if (event.file !== undefined) return
  counts.tests = event.counts.tests
  counts.passed = event.counts.passed
  counts.failed = event.counts.failed + event.counts.cancelled
  counts.skipped = event.counts.skipped
  if (!event.success) process.exitCode = 1
})
events.on('end', () => writeFileSync(values.summary, JSON.stringify({ counts, skipped, failed })))
events.compose(new spec()).pipe(process.stdout)
