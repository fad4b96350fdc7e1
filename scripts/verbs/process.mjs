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

/** How long a step that was told to end may take for it, before it is killed with everything that it started. */
const GRACE_MS = 3000
const GROUP_POLL_MS = 50

/**
 * Runs a command in the repository's root with this process's input and output, and resolves to its exit code: 128 plus
 * the signal's number when a signal ended it.
 *
 * A step says how long it took, and has a process group of its own. A signal to this process ends the whole group, and
 * the step throws a Failure with 128 plus the signal's number, so that no step follows. What runs in the foreground is
 * what the user asked for: it gets the signal alone, and its exit code counts.
 */
export async function run(name, command, args, { foreground = false } = {}) {
  const started = performance.now()
  if (!foreground) process.stdout.write(`== ${name}\n`)
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    detached: !foreground,
  })
  const signals = foreground ? passSignals(child) : endGroupAtSignal(child)
  try {
    const code = await new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new Failure(`${name}: ${command} does not start: ${error.message}`)))
      child.on('exit', (exitCode, signal) => resolve(exitCode ?? signalCode(signal)))
    })
    const signal = await signals.ended()
    if (signal !== undefined) throw new Failure(`== ${name}: ended by ${signal}`, signalCode(signal))
    if (!foreground)
      process.stdout.write(`== ${name}: ${code === 0 ? 'done' : `failed (${code})`} in ${seconds(started)}\n`)
    return code
  } finally {
    signals.restore()
  }
}

function signalCode(signal) {
  return 128 + (constants.signals[signal] ?? 0)
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
  const restore = onSignals((signal) => {
    if (signal === 'SIGINT' && isatty(0)) return
    child.kill(signal)
  })
  return { restore, ended: async () => undefined }
}

/** `ended` resolves once nothing of the group is left, to the signal that ended it, if one did. */
function endGroupAtSignal(child) {
  let first
  let killer
  const restore = onSignals((signal) => {
    signalGroup(child, signal)
    first ??= signal
    killer ??= setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS)
  })
  const ended = async () => {
    if (first === undefined) return undefined
    // Where no process reaps orphans, dead ones stay in the group: they are not waited for.
    const end = performance.now() + 2 * GRACE_MS
    while (signalGroup(child, 0) && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, GROUP_POLL_MS))
    clearTimeout(killer)
    return first
  }
  return { restore, ended }
}

/** Whether there is a process in the group of a child. */
function signalGroup(child, signal) {
  if (child.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return false
  }
}

/** Calls `handle` for each signal that asks this process to end, until the function that it returns is called. */
function onSignals(handle) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, handle)
  return () => {
    for (const signal of signals) process.off(signal, handle)
  }
}
