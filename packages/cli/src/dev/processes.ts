import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AshlarError } from '@ashlar/proto'
import { STOP_WITH_INPUT } from '../stop-signals.ts'

/** A process that `ashlar dev` may start: its command, and the file that its output is appended to. */
export interface Startable {
  readonly command: readonly string[]
  readonly log: string
  /** Variables that it gets unless this process has them; options for Node come before this process's, which win. */
  readonly environment?: Readonly<Record<string, string>>
}

const POLL_MS = 50

/**
 * The command that runs this very program: the Node that runs it, the same flags for Node, and the script. Absolute paths,
 * so that it works from anywhere.
 */
export function ownCommand(): string[] {
  const [, script = ''] = process.argv
  return [process.execPath, ...process.execArgv, script]
}

/**
 * Starts a process whose output goes to its log. `child`: it ends when this process does, whatever ends this one, and a
 * Ctrl-C of the terminal reaches it through this process only. Otherwise it lives on by itself.
 */
export async function startProcess(
  { command, log, environment = {} }: Startable,
  kind: 'child' | 'alone',
): Promise<ChildProcess> {
  const [program, ...args] = command
  if (program === undefined) throw new AshlarError('INTERNAL', 'a command without a program')
  await mkdir(dirname(log), { recursive: true })
  const file = await open(log, 'a')
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: [kind === 'child' ? 'pipe' : 'ignore', file.fd, file.fd],
      env: {
        ...environment,
        ...inheritedEnvironment(),
        NODE_OPTIONS: `${environment['NODE_OPTIONS'] ?? ''} ${process.env['NODE_OPTIONS'] ?? ''}`.trim(),
        ...(kind === 'child' ? { [STOP_WITH_INPUT]: '1' } : {}),
      },
    })
    // The end of the child is an event of its own: an error of the pipe adds nothing.
    child.stdin?.on('error', () => undefined)
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => reject(new AshlarError('INTERNAL', `${program} does not start`, { cause })))
    })
    if (kind === 'alone') child.unref()
    return child
  } finally {
    await file.close()
  }
}

/** ASHLAR_… variables of this process are not options of the nodes; only the log level is passed on. */
function inheritedEnvironment(): Record<string, string | undefined> {
  const inherited = (name: string): boolean => !name.startsWith('ASHLAR_') || name === 'ASHLAR_LOG_LEVEL'
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => inherited(name)))
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** How a process ended, for people: `with code 1`, `by SIGKILL`. */
export function describeEnd(child: Pick<ChildProcess, 'exitCode' | 'signalCode'>): string {
  return child.signalCode === null ? `with code ${child.exitCode}` : `by ${child.signalCode}`
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * True when a process lives and runs this command. A number may belong to another process by now: where the system shows
 * command lines, they are compared, so that no foreign process is ever signalled.
 */
export async function runsCommand(pid: number, command: readonly string[]): Promise<boolean> {
  if (!isAlive(pid)) return false
  try {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return line.split('\0').slice(0, -1).join('\0') === command.join('\0')
  } catch {
    return process.platform !== 'linux'
  }
}

/** Sends SIGTERM and waits; processes that have not ended by the deadline are killed. Resolves when none is left. */
export async function endProcesses(pids: readonly number[], deadlineMs: number): Promise<number[]> {
  for (const pid of pids) signal(pid, 'SIGTERM')
  const left = await waitForEnds(pids, deadlineMs)
  for (const pid of left) signal(pid, 'SIGKILL')
  await waitForEnds(left, deadlineMs)
  return left
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Resolves to the processes that still live after the deadline. */
export async function waitForEnds(pids: readonly number[], deadlineMs: number): Promise<number[]> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const left = pids.filter(isAlive)
    if (left.length === 0 || performance.now() > deadline) return left
    await delay(POLL_MS)
  }
}
