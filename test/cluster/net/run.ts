import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WORKLOAD } from './faults.ts'
import { Namespaces, systemPath } from './namespaces.ts'
import { GATEWAY } from './net-cluster.ts'
import type { NetOptions, NetReport } from './options.ts'

const INSIDE = fileURLToPath(new URL('bin/inside.ts', import.meta.url))
/** Where the devices of the wire are made. */
const HOME = 'home'

/** What the process inside is told. */
export interface InsideOptions {
  readonly net: NetOptions
  /** Of data and logs. */
  readonly directory: string
  readonly reportFile: string
  /** Namespaces by place. */
  readonly namespaces: Readonly<Record<string, string>>
  readonly home: string
}

/**
 * Runs a cluster in network namespaces of its own, under faults, and removes them whatever happens. Rejects when the
 * harness itself fails. What was found stays in a directory that the log names, when something was.
 *
 * @param log told each line as it comes
 * @param signal ends the faults, then the run, with what was found until then
 */
export async function runNetwork(
  net: NetOptions,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<NetReport> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-net-'))
  const namespaces = new Namespaces()
  const places = [...Array.from({ length: net.nodes }, (_, index) => `n${index + 1}`), GATEWAY, WORKLOAD]
  let keep = true
  try {
    await namespaces.make([HOME, ...places])
    const reportFile = join(directory, 'report.json')
    const ended = await runInside(
      {
        net,
        directory,
        reportFile,
        namespaces: Object.fromEntries(places.map((place) => [place, namespaces.fullName(place)])),
        home: namespaces.fullName(HOME),
      },
      log,
      signal,
    )
    if (ended !== 0 || !existsSync(reportFile)) throw new Error(`the run ended with ${ended} before its report`)
    const report = JSON.parse(readFileSync(reportFile, 'utf8')) as NetReport
    keep = report.violations.length > 0
    return report
  } finally {
    namespaces.remove()
    if (keep) log(`logs and data are kept in ${directory}`)
    else await rm(directory, { recursive: true, force: true })
  }
}

function runInside(
  options: InsideOptions,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<number | string> {
  const workload = options.namespaces[WORKLOAD] ?? ''
  const node = [process.execPath, '--conditions=ashlar-source', INSIDE, JSON.stringify(options)]
  // A process group of its own: Ctrl-C in a terminal must not reach nodes and wire, which this run ends in order. Its
  // standard input says nothing, but that this process lives.
  const child = spawn('ip', ['netns', 'exec', workload, ...node], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, PATH: systemPath() },
  })
  const stop = (): void => void child.kill('SIGTERM')
  signal?.addEventListener('abort', stop)
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) log(line)
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', stop)
      resolve(code ?? String(killedBy))
    })
  })
}
