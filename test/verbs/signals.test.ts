import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { longest } from '../kit/deadline.ts'
import { eventually } from '../kit/dev-cluster.ts'
import { isAlive } from '../kit/processes.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'ashlar-signals-'))
after(() => rmSync(folder, { recursive: true }))

const path = (name: string): string => join(folder, name)
const quoted = (name: string): string => JSON.stringify(path(name))

/** A test that never ends, over a process that it started; `deaf` is what that process does at its start. */
function endlessTest(started: string, deaf: string): string {
  const child = `${deaf}; require('fs').writeFileSync(${quoted(started)}, String(process.pid)); setInterval(() => {}, 1000)`
  return `import { spawn } from 'node:child_process'
import { test } from 'node:test'
spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'ignore' })
setInterval(() => {}, 1000)
test('never ends', () => new Promise(() => {}))
`
}

/** \`npm test\` with two stages of its own. */
const TWO_STAGES = `
import { testStages, STAGES } from './scripts/verbs/stages.mjs'
import { Failure } from './scripts/verbs/process.mjs'
STAGES.endless = { title: 'never ends', files: [${quoted('endless.test.mjs')}], together: 1 }
STAGES.later = { title: 'must not run', files: [${quoted('later.test.mjs')}], together: 1 }
try {
  process.exitCode = await testStages(process.execPath, ['endless', 'later'])
} catch (error) {
  if (!(error instanceof Failure)) throw error
  console.log(error.message)
  process.exitCode = error.exitCode
}`

describe('npm test', { timeout: longest(60_000) }, () => {
  for (const [signal, code, deaf] of [
    ['SIGINT', 130, ''],
    ['SIGTERM', 143, ''],
    ['SIGTERM', 143, "process.on('SIGTERM', () => {})"],
  ] as const) {
    const how = deaf === '' ? '' : ', and kills what does not listen'
    test(`ends its stage with all that it started at ${signal}${how}; no stage follows`, async () => {
      const started = `started-${signal}-${deaf.length}`
      writeFileSync(path('endless.test.mjs'), endlessTest(started, deaf))
      writeFileSync(
        path('later.test.mjs'),
        `import { writeFileSync } from 'node:fs'; writeFileSync(${quoted('later')}, '')`,
      )
      // Without the mark by which node:test knows its own files: a runner inside would run nothing.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const verbs = spawn(process.execPath, ['--input-type=module', '-e', TWO_STAGES], {
        cwd: ROOT,
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let output = ''
      verbs.stdout.on('data', (chunk) => {
        output += chunk
      })
      const pid = await eventually('the stage runs', async () =>
        existsSync(path(started)) ? Number(readFileSync(path(started), 'utf8')) || undefined : undefined,
      )
      assert.ok(isAlive(pid))
      verbs.kill(signal)
      const [exitCode] = await once(verbs, 'close')
      assert.equal(exitCode, code, output)
      assert.equal(isAlive(pid), false, 'what the stage started runs on')
      assert.match(output, new RegExp(`ended by ${signal}`))
      assert.ok(!existsSync(path('later')), 'the next stage ran')
    })
  }
})
