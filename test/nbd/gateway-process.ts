import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Deadline } from '../kit/deadline.ts'
import { type RunResult, run } from '../kit/dev-cluster.ts'

/** The compiled command, as an operator runs it. */
export const GATEWAY: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('../../packages/cli/bin/ashlar.mjs', import.meta.url)),
  'gateway',
  'run',
]
const START_MS = 30_000

/** A gateway in a process of its own. */
export class GatewayProcess {
  /** Without the name of an export. */
  readonly uri: string
  /** Code or signal with which it ended. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  readonly #child: ChildProcess
  readonly #lines: string[]

  /** Starts one and waits until it serves. `--listen` is a free port unless given. */
  static async start(...args: readonly string[]): Promise<GatewayProcess> {
    const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
    const [program = '', ...rest] = [...GATEWAY, ...listen, ...args]
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const lines: string[] = []
    const uri = await new Promise<string>((resolve, reject) => {
      const fail = (why: string): void => {
        child.kill('SIGKILL')
        reject(new Error(`${why}: ${args.join(' ')}\n${lines.join('')}`))
      }
      const deadline = new Deadline(START_MS).onPassed(() => fail(deadline.missed('the gateway serves')))
      child.once('exit', (code) => {
        deadline[Symbol.dispose]()
        fail(`the gateway ended with ${code}`)
      })
      child.stderr?.on('data', (text) => lines.push(String(text)))
      child.stdout?.on('data', (text) => {
        lines.push(String(text))
        const serving = lines
          .join('')
          .split('\n')
          .find((line) => line.includes('"msg":"serving"'))
        if (serving === undefined) return
        deadline[Symbol.dispose]()
        resolve((JSON.parse(serving) as { listen: string[] }).listen[0] ?? '')
      })
    })
    return new GatewayProcess(child, uri, lines)
  }

  private constructor(child: ChildProcess, uri: string, lines: string[]) {
    this.#child = child
    this.uri = uri
    this.#lines = lines
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  }

  /** HOST:PORT of its listener. */
  get address(): string {
    return this.uri.replace('nbd://', '')
  }

  get pid(): number {
    assert.ok(this.#child.pid !== undefined)
    return this.#child.pid
  }

  /** All that it printed. */
  get output(): string {
    return this.#lines.join('')
  }

  export(name: string): string {
    return `${this.uri}/${name}`
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    this.#child.kill(signal)
    return this.ended
  }
}

/** Runs a Python script of libnbd, where `h` is a connection that is not made yet. Fails with what it said. */
export async function nbdsh(script: string, timeoutMs = 60_000): Promise<string> {
  const result = await nbdshResult(script, timeoutMs)
  assert.equal(result.code, 0, `${script}\n${result.stdout}\n${result.stderr}`)
  return result.stdout
}

export function nbdshResult(script: string, timeoutMs = 60_000): Promise<RunResult> {
  // The module belongs to the distribution's Python, wherever another one stands on the PATH.
  const env = { PATH: `/usr/bin:${process.env['PATH'] ?? ''}` }
  return run('nbdsh', ['-c', '-'], { env, input: script, timeoutMs })
}
