import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Deadline } from '../kit/deadline.ts'
import { eventually, freePorts } from '../kit/dev-cluster.ts'
import { isAlive } from '../kit/processes.ts'
import { skipWithout } from '../kit/tools.ts'
import { cleanEnvironment } from './environment.ts'
import { type Step, stepsOf, withAddresses } from './readme.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const STEPS = stepsOf(readFileSync(join(ROOT, 'README.md'), 'utf8'))
/** Installing and building from nothing on a small machine. */
const START_DEADLINE_MS = 300_000
const STEP_DEADLINE_MS = 120_000

/** What git would commit, in a folder of its own: the checkout as it is now, without anything installed or built. */
function copyOfCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ashlar-readme-'))
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  const deleted = execFileSync('git', ['ls-files', '-z', '--deleted'], { cwd: ROOT })
  const gone = new Set(String(deleted).split('\0'))
  for (const path of String(listed).split('\0')) {
    if (path !== '' && !gone.has(path)) cpSync(join(ROOT, path), join(folder, path))
  }
  return folder
}

describe('the README, followed by someone who has just cloned', () => {
  let folder = ''
  let environment: NodeJS.ProcessEnv = {}
  let addresses = { apiPort: 0, nbd: '' }
  let daemon: ChildProcess | undefined

  before(async () => {
    folder = copyOfCheckout()
    const ports = await freePorts(3)
    addresses = { apiPort: ports.api, nbd: `127.0.0.1:${ports.nbd}` }
    environment = { ...cleanEnvironment(), ASHLAR_SERVER: `http://127.0.0.1:${ports.api}` }
  })

  after(async () => {
    if (daemon !== undefined) await ended(daemon, 'SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  })

  function shell(text: string): ChildProcess {
    return spawn('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async function start(step: Step): Promise<void> {
    // exec: a signal to the shell's process is then a signal to npm.
    const child = shell(`exec ${step.text}`)
    daemon = child
    const said = collect(child)
    await eventually(
      'npm start says Ready',
      async () => {
        assert.equal(child.exitCode, null, `npm start ended:\n${said()}`)
        return /^Ready\b/m.test(said()) ? true : undefined
      },
      START_DEADLINE_MS,
    )
  }

  async function runCommands(step: Step): Promise<void> {
    const child = shell(step.text)
    const said = collect(child)
    using _deadline = new Deadline(STEP_DEADLINE_MS).onPassed(() => child.kill('SIGKILL'))
    const code = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(code, 0, `${step.text}\n${said()}`)
  }

  for (const [index, original] of STEPS.entries()) {
    const name = `step ${index + 1}: ${original.text.trim().split('\n')[0]}`
    const skip = original.kind === 'commands' ? skipWithout(...original.needs) : false
    test(name, { skip }, async () => {
      const step = withAddresses(original, addresses)
      if (step.kind === 'daemon') await start(step)
      else if (step.kind === 'commands') await runCommands(step)
      else if (step.kind === 'file') writeFileSync(join(folder, step.name), step.text)
      else assert.fail(`no step of the README is a ${step.kind}`)
    })
  }

  test('Ctrl-C ends everything that npm start started, and with success', async () => {
    assert.ok(daemon !== undefined, 'the README starts a cluster')
    const { pid } = daemon
    assert.ok(pid !== undefined)
    const processes = descendants(pid)
    assert.ok(processes.length >= 5, `npm start runs three nodes and a gateway, found ${processes.length} processes`)
    const { code, signal } = await ended(daemon, 'SIGINT')
    assert.ok(code === 0 || code === 130 || signal === 'SIGINT', `npm start ended with ${code ?? signal}`)
    assert.deepEqual(processes.filter(isAlive), [], 'processes that outlived npm start')
  })
})

function collect(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      text += chunk
    })
  }
  return () => text
}

/** Signals a process and waits for its end; after the deadline it is killed, and the end says so by its signal. */
async function ended(
  child: ChildProcess,
  signal: NodeJS.Signals,
): Promise<{ code: number | null; signal: string | null }> {
  if (child.exitCode !== null || child.signalCode !== null) return { code: child.exitCode, signal: child.signalCode }
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>
  using _deadline = new Deadline(STEP_DEADLINE_MS).onPassed(() => child.kill('SIGKILL'))
  child.kill(signal)
  const [code, by] = await exit
  return { code, signal: by }
}

/** Process ids of everything below a process, from /proc. */
function descendants(root: number): number[] {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number))
  const below = (parent: number): number[] =>
    pairs.filter(([, ppid]) => ppid === parent).flatMap(([pid = 0]) => [pid, ...below(pid)])
  return below(root)
}
