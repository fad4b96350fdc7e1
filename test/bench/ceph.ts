import { accessSync, constants } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { basename, delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AshlarError } from '@ashlar/proto'
import { runCommand } from './commands.ts'
import type { BenchOptions } from './options.ts'
import type { MeasuredProcess } from './processes.ts'
import type { Subject } from './subject.ts'

const SCRIPT = fileURLToPath(new URL('ceph-up.sh', import.meta.url))
/** Debian's package of each program that the script runs. */
const PACKAGES: Readonly<Record<string, string>> = {
  'ceph-mon': 'ceph-mon',
  'ceph-mgr': 'ceph-mgr',
  'ceph-osd': 'ceph-osd',
  rbd: 'ceph-common',
  bc: 'bc',
}
const START_MS = 180_000
const STOP_MS = 30_000
const POLL_MS = 100

/** Throws USAGE, with what to install, when Ceph or fio's engine for it is missing. */
export async function requireCeph(signal: AbortSignal): Promise<void> {
  const missing = Object.keys(PACKAGES).filter((program) => !isOnPath(program))
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((program) => PACKAGES[program]))].join(' ')
    throw new AshlarError('USAGE', `--against ceph: ${missing.join(', ')} not installed`, {
      hint: `apt-get install --no-install-recommends ${packages}`,
    })
  }
  const engines = await runCommand('fio', ['--enghelp'], { timeoutMs: 10_000, signal })
  if (!/^\s*rbd$/m.test(engines)) {
    throw new AshlarError('USAGE', '--against ceph: this fio has no rbd engine', {
      hint: "Debian's fio package has it",
    })
  }
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A fresh Ceph cluster of three OSDs with an RBD image of 4 GiB. */
export async function startCeph(options: BenchOptions, signal: AbortSignal): Promise<Subject> {
  const directory = await mkdtemp(join(options.directory, 'ceph-bench-'))
  const stop = async () => {
    await endAll(await daemons(directory))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await runCommand('bash', [SCRIPT, directory], { timeoutMs: START_MS, signal })
    return {
      name: 'ceph',
      fio: new Map([
        ['ioengine', 'rbd'],
        ['clientname', 'admin'],
        ['pool', 'rbd'],
        ['rbdname', 'bench'],
      ]),
      fioEnvironment: { CEPH_CONF: join(directory, 'ceph.conf') },
      processes: await daemons(directory),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Daemons by the files in which Ceph says their pids. */
async function daemons(directory: string): Promise<MeasuredProcess[]> {
  const folder = join(directory, 'run')
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.pid')).sort()
  return await Promise.all(
    files.map(async (file) => ({
      name: basename(file, '.pid'),
      pid: Number((await readFile(join(folder, file), 'utf8')).trim()),
    })),
  )
}

async function endAll(processes: readonly MeasuredProcess[]): Promise<void> {
  for (const { pid } of processes) signalIfAlive(pid, 'SIGTERM')
  const end = performance.now() + STOP_MS
  let left = processes
  while (left.length > 0 && performance.now() < end) {
    await delay(POLL_MS)
    left = left.filter(({ pid }) => signalIfAlive(pid, 0))
  }
  for (const { pid } of left) signalIfAlive(pid, 'SIGKILL')
}

function signalIfAlive(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
