import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ASHLAR = join(fileURLToPath(new URL('../..', import.meta.url)), 'packages/cli/bin/ashlar.mjs')

/** One run of `ashlar dev` as a person or a script starts it. */
export interface DevProcess {
  readonly child: ChildProcess
  readonly out: () => string
  readonly error: () => string
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

export function startDev(args: readonly string[]): DevProcess {
  const child = spawn(process.execPath, [ASHLAR, 'dev', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let error = ''
  child.stdout?.on('data', (chunk) => {
    out += chunk
  })
  child.stderr?.on('data', (chunk) => {
    error += chunk
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? ''))
  })
  return { child, out: () => out, error: () => error, ended }
}
