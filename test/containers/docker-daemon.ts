import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { eventually, type RunResult, run } from '../kit/dev-cluster.ts'

/**
 * A Docker daemon of the test's own: its images, containers and volumes are in a temporary folder and touch nobody
 * else's. Needs root. The default bridge is left out, since another daemon may have it; builds use the host's network.
 */
export class DockerDaemon {
  readonly folder: string
  private readonly daemon: ChildProcess

  private constructor(folder: string, daemon: ChildProcess) {
    this.folder = folder
    this.daemon = daemon
  }

  /** Rejects with the end of the daemon's log when it does not come up. */
  static async start(): Promise<DockerDaemon> {
    const folder = await mkdtemp(join(tmpdir(), 'ashlar-docker-'))
    const log = openSync(join(folder, 'log'), 'w')
    const paths = { 'data-root': 'data', 'exec-root': 'exec', pidfile: 'pid' }
    const args = Object.entries(paths).map(([flag, name]) => `--${flag}=${join(folder, name)}`)
    const daemon = spawn('dockerd', [`--host=unix://${join(folder, 'socket')}`, '--bridge=none', ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: systemPath() },
    })
    closeSync(log)
    let failure: Error | undefined
    daemon.once('error', (error) => {
      failure = error
    })
    const started = new DockerDaemon(folder, daemon)
    try {
      await eventually(
        'dockerd answers',
        async () => {
          if (failure !== undefined || daemon.exitCode !== null) throw failure ?? new Error('dockerd ended')
          return (await started.docker('info')).code === 0 ? true : undefined
        },
        60_000,
      )
      return started
    } catch (cause) {
      const said = started.lastLines()
      await started.end()
      throw new Error(`dockerd does not start:\n${said}`, { cause })
    }
  }

  private get environment(): Record<string, string> {
    return { DOCKER_HOST: `unix://${join(this.folder, 'socket')}`, PATH: systemPath() }
  }

  docker(...args: string[]): Promise<RunResult> {
    return run('docker', args, { env: this.environment, timeoutMs: 600_000 })
  }

  /** Runs a program against this daemon; rejects with its output when it fails. Resolves to its stdout. */
  async succeeds(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const result = await run(program, args, { env: { ...env, ...this.environment }, timeoutMs: 600_000 })
    if (result.code === 0) return result.stdout.trim()
    throw new Error(`${program} ${args.join(' ')} ended with ${result.code}\n${result.stdout}\n${result.stderr}`)
  }

  /** Rejects when the daemon had ended before: whatever failed then, failed because of that. */
  async stop(): Promise<void> {
    const early = this.daemon.exitCode ?? this.daemon.signalCode
    const said = this.lastLines()
    await this.end()
    if (early !== null) throw new Error(`dockerd ended by itself with ${early}:\n${said}`)
  }

  private lastLines(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8').split('\n').slice(-8).join('\n')
  }

  private async end(): Promise<void> {
    if (this.daemon.pid !== undefined && this.daemon.exitCode === null && this.daemon.signalCode === null) {
      const ended = once(this.daemon, 'exit')
      this.daemon.kill('SIGTERM')
      await ended
    }
    // A daemon leaves its network namespaces mounted.
    for (const point of mountPointsBelow(this.folder)) await run('umount', ['--lazy', point])
    await rm(this.folder, { recursive: true, force: true })
  }
}

function mountPointsBelow(folder: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`))
}

/**
 * The PATH without node_modules, since images are made from the machine's Node and npm and not from the pinned ones, and
 * with the folders of system programs, which the environment of a job may lack.
 */
function systemPath(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return [...new Set([...folders, '/usr/sbin', '/sbin'])].join(delimiter)
}
