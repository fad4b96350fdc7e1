import { spawn } from 'node:child_process'
import { AshlarError } from '@ashlar/proto'

export interface CommandOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly environment?: Readonly<Record<string, string>>
  /** Directory to run in. */
  readonly directory?: string
}

/**
 * Runs a program to its end and gives its standard output. Throws INTERNAL when it fails, with the end of what it
 * wrote, and when it takes too long: then it was killed.
 */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { timeoutMs, signal, environment, directory } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      ...(directory === undefined ? {} : { cwd: directory }),
      signal,
    })
    const late = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    const stdout: string[] = []
    const stderr: string[] = []
    child.stdout.on('data', (chunk) => stdout.push(String(chunk)))
    child.stderr.on('data', (chunk) => stderr.push(String(chunk)))
    child.once('error', (cause) => {
      clearTimeout(late)
      reject(
        signal.aborted
          ? signal.reason
          : new AshlarError('INTERNAL', `${program} does not run: ${cause.message}`, { cause }),
      )
    })
    // Not `close`: a daemon that the program leaves behind may keep its output open after it.
    child.once('exit', (code, killedBy) => {
      clearTimeout(late)
      setImmediate(() => {
        if (code === 0) return resolve(stdout.join(''))
        const said = `${stdout.join('').slice(-LAST_WORDS)}${stderr.join('').slice(-LAST_WORDS)}`.trim()
        const how = killedBy === null ? `ended with ${code}` : `was ended by ${killedBy} (limit ${timeoutMs / 1000} s)`
        reject(new AshlarError('INTERNAL', `${program} ${args.join(' ')} ${how}: ${said}`))
      })
    })
  })
}

const LAST_WORDS = 2000
