import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { delimiter } from 'node:path'
import type { TestContext } from 'node:test'
import { type RunResult, run } from '../../kit/dev-cluster.ts'
import { requireTool } from '../../kit/tools.ts'

/**
 * With the folders of system programs, which the environment of a job may lack, and the distribution's Python first.
 */
export function systemPath(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return [...new Set(['/usr/sbin', '/sbin', '/usr/bin', '/bin', ...folders])].join(delimiter)
}

/** Says why this machine cannot have networks of namespaces, or undefined. */
export function namespacesUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    return undefined
  } catch {
    return 'there is no /dev/net/tun: the network between the namespaces is made of TUN devices'
  }
}

/**
 * Skips the running test, with the reason, where there can be no networks of namespaces; gives false then, and the test
 * returns. With ASHLAR_REQUIRE_TOOLS=1 it throws instead, so that the test fails.
 */
export function requireNetworks(context: TestContext): boolean {
  if (!requireTool(context, 'ip', 'python3')) return false
  const unavailable = namespacesUnavailable()
  if (unavailable === undefined) return true
  if (process.env['ASHLAR_REQUIRE_TOOLS'] === '1') throw new Error(unavailable)
  context.skip(unavailable)
  return false
}

/** Network namespaces of one run, by short names of their own: no other namespaces are touched. */
export class Namespaces {
  readonly #prefix = `ashlar-${randomBytes(4).toString('hex')}`
  readonly #made: string[] = []

  /** Rejects when one cannot be made; what was made until then stays for `remove`. */
  async make(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const namespace = this.fullName(name)
      await ip('netns', 'add', namespace)
      this.#made.push(namespace)
      await ip('-n', namespace, 'link', 'set', 'lo', 'up')
    }
  }

  fullName(name: string): string {
    return `${this.#prefix}-${name}`
  }

  /** Kills whatever still runs in these namespaces, which only this run has started, and removes them. */
  remove(): void {
    removeNamespaces(this.#made.splice(0))
  }
}

/**
 * Kills whatever still runs in these namespaces, but for this process, and removes them. Synchronous, so that whatever
 * the end of those processes makes of this one comes afterwards. Throws, after the last of them, when one is left.
 */
export function removeNamespaces(namespaces: readonly string[]): void {
  const ipNow = (...args: string[]) =>
    spawnSync('ip', args, { encoding: 'utf8', env: { ...process.env, PATH: systemPath() } })
  const failures: string[] = []
  for (const namespace of namespaces) {
    const pids = ipNow('netns', 'pids', namespace)
      .stdout.split('\n')
      .filter((line) => line !== '')
    for (const pid of pids.map(Number)) if (pid !== process.pid) kill(pid)
    const { status, stderr } = ipNow('netns', 'del', namespace)
    if (status !== 0) failures.push(`${namespace}: ${stderr}`)
  }
  if (failures.length > 0) throw new Error(`namespaces are left: ${failures.join('; ')}`)
}

/** Runs ip(8). Rejects with what it said when it fails. */
export async function ip(...args: readonly string[]): Promise<RunResult> {
  const result = await run('ip', args, { env: { PATH: systemPath() } })
  if (result.code !== 0) throw new Error(`ip ${args.join(' ')} ended with ${result.code}: ${result.stderr}`)
  return result
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It ended between being listed and being killed.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
