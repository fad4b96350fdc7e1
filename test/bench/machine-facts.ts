import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Where and with what something was measured. A figure without this means nothing. */
export interface MachineFacts {
  readonly cpu: string
  readonly processors: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly fio: string
  /** Of the sources; with `+` when files differ from it. */
  readonly commit: string
  readonly date: string
  /** Mean number of runnable processes over the last minute, before anything was started. */
  readonly load: number
}

export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    fio: output('fio', ['--version']),
    commit: output('git', ['describe', '--always', '--dirty=+', '--exclude=*']),
    date: new Date().toISOString(),
    load: loadavg()[0] ?? 0,
  }
}

function output(program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, args, {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'unknown'
  }
}
