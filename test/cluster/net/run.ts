import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WORKLOAD } from './faults.ts'
import type { InsideOptions } from './inside.ts'
import { Namespaces, systemPath } from './namespaces.ts'
import { GATEWAY } from './net-cluster.ts'
import type { NetOptions, NetReport } from './options.ts'

/** Where the devices of the wire are made. */
const HOME = 'home'

/** A program that runs in the workload's namespace of a network, and its input. */
export interface InsideProgram<Options> {
  /** Its file: see inside.ts. */
  readonly program: string
  readonly options: Options
  /** How many storage nodes are on the wire. */
  readonly nodes: number
  /** Places beside the nodes and the workload. */
  readonly morePlaces?: readonly string[]
  /** Where the directory of data and logs is made; default: that for temporary files. */
  readonly parentDirectory?: string
}

/**
 * Runs a cluster in network namespaces of its own, under faults, and removes them whatever happens. Rejects when the
 * harness itself fails. What was found stays in a directory that the log names, when something was.
 *
 * @param log called with each line as it comes
 * @param signal ends the faults, then the run, with what was found until then
 */
export function runNetwork(net: NetOptions, log: (line: string) => void, signal?: AbortSignal): Promise<NetReport> {
  const program = fileURLToPath(new URL('bin/inside.ts', import.meta.url))
  const inside = { program, options: net, nodes: net.nodes, morePlaces: [GATEWAY] }
  return runInNetwork<NetOptions, NetReport>(inside, ({ violations }) => violations.length > 0, log, signal)
}

/**
 * Runs a program in the workload's namespace of a new network, resolves to its report, and removes the network whatever
 * happens. Rejects when the program fails. Its directory of data and logs stays then, and when `mustKeep` says so of
 * the report; the log names it.
 *
 * @param log called with each line that the program writes, as it comes
 * @param signal sends the program SIGTERM
 */
export async function runInNetwork<Options, Report>(
  { program, options, nodes: count, morePlaces = [], parentDirectory = tmpdir() }: InsideProgram<Options>,
  mustKeep: (report: Report) => boolean,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<Report> {
  const directory = await mkdtemp(join(parentDirectory, 'ashlar-net-'))
  const namespaces = new Namespaces()
  const nodes = Array.from({ length: count }, (_, index) => `n${index + 1}`)
  const places = [...nodes, ...morePlaces, WORKLOAD]
  let keep = true
  try {
    await namespaces.make([HOME, ...places])
    const inside: InsideOptions<Options> = {
      options,
      nodes,
      directory,
      reportFile: join(directory, 'report.json'),
      namespaces: Object.fromEntries(places.map((place) => [place, namespaces.fullName(place)])),
      home: namespaces.fullName(HOME),
    }
    const ended = await runInside(program, inside, log, signal)
    if (ended !== 0 || !existsSync(inside.reportFile)) throw new Error(`the run ended with ${ended} before its report`)
    const report = JSON.parse(readFileSync(inside.reportFile, 'utf8')) as Report
    keep = mustKeep(report)
    return report
  } finally {
    namespaces.remove()
    if (keep) log(`logs and data are kept in ${directory}`)
    else await rm(directory, { recursive: true, force: true })
  }
}

function runInside(
  program: string,
  inside: InsideOptions<unknown>,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<number | string> {
  const workload = inside.namespaces[WORKLOAD] ?? ''
  const node = [process.execPath, '--conditions=ashlar-source', program, JSON.stringify(inside)]
  // A process group of its own: Ctrl-C in a terminal must not reach nodes and wire, which this run ends in order. Its
  // standard input carries no data: it shows that this process runs.
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
