import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'

/** Root of the repository: every path of these scripts is relative to it. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A failure that a person can mend: printed as one message, without a stack. */
export class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/**
 * Runs a command in the repository's root with this process's input and output, and resolves to its exit code: 128 plus
 * the signal's number when a signal ended it. Prints how long it took unless `quiet`.
 */
export async function run(name, command, args, { quiet = false, environment = {} } = {}) {
  const started = performance.now()
  if (!quiet) process.stdout.write(`== ${name}\n`)
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  })
  const restore = passSignals(child)
  try {
    const code = await new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new Failure(`${name}: ${command} does not start: ${error.message}`)))
      child.on('exit', (exitCode, signal) => resolve(exitCode ?? 128 + (constants.signals[signal] ?? 0)))
    })
    if (!quiet) process.stdout.write(`== ${name}: ${code === 0 ? 'done' : `failed (${code})`} in ${seconds(started)}\n`)
    return code
  } finally {
    restore()
  }
}

/** Time since `started`, for people. */
export function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`
}

/**
 * This process outlives its child's signals: it passes them on and ends when the child has ended. Ctrl-C in a terminal
 * reaches the child by itself, since both are in the terminal's foreground group; passing it on would make it two.
 */
function passSignals(child) {
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    const handler = () => {
      if (signal === 'SIGINT' && isatty(0)) return
      child.kill(signal)
    }
    process.on(signal, handler)
    return () => process.off(signal, handler)
  })
  return () => {
    for (const restore of handlers) restore()
  }
}
