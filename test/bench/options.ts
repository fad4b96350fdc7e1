import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseBytes } from '@ashlar/node/config'
import { AshlarError, type Bytes } from '@ashlar/proto'

/** What is measured: jobs of fio, the pieces that a write is made of, idle volumes, delays, or how cost grows. */
export type Measured = 'jobs' | 'pieces' | 'idle' | 'delay' | 'growth'

export interface BenchOptions {
  readonly what: Measured
  /** Names of jobs, pieces or axes, in order; empty means all. */
  readonly names: readonly string[]
  readonly repeats: number
  /**
   * Another store, the same cluster while it scrubs or has more to do, or a cluster of which Node has these options;
   * measured in turns.
   */
  readonly against: 'ceph' | 'scrub' | 'upkeep' | { readonly nodeFlags: readonly string[] } | undefined
  readonly jsonFile: string | undefined
  /** Where the plots of growth go. */
  readonly plotDirectory: string | undefined
  /** JSON of an earlier run of growth, of which only the plots and tables are made. */
  readonly fromFile: string | undefined
  readonly sizeBytes: Bytes
  readonly blockSizeBytes: Bytes
  readonly nodes: number
  /** Volumes that are attached and left alone. */
  readonly volumes: number
  /** Seconds that a job is measured. */
  readonly seconds: number
  /** Longest time of the random overwrite before write jobs, seconds; 0 leaves it out. */
  readonly overwriteSeconds: number
  /** Where clusters and stores put their data. */
  readonly directory: string
  /** Where V8's CPU profiles of nodes and gateway go. */
  readonly profileDirectory: string | undefined
}

export const HELP = `usage: npm run bench -- [JOB...] [options]
       npm run bench -- pieces [PIECE...] [options]
       npm run bench -- idle [options]
       npm run bench -- delay [options]
       npm run bench -- growth [AXIS...] [options]

Measures the jobs of test/bench/jobs.fio (all when none is named) against the NBD gateway of a cluster of ashlar dev: the
device is filled once, before the first job that writes it is overwritten once at random. \`pieces\` measures what one write is
made of: disk, bare-store, ashlar-store, websocket, nbd; and nbdkit: the NBD server over memory beside nbdkit's. Only by name,
\`pieces engine\` measures LevelDB alone with each of its options changed. \`idle\` measures the cost of attached idle
volumes. \`delay\` measures one write and one read at a time while every packet between nodes and client takes 0, 0.5 and 5 ms longer,
and counts round trips; it needs root, /dev/net/tun, iproute2 and python3. \`growth\` measures random reads and writes against what can
grow: size, extents, volumes, replicas, blocks, connections; each case on a cluster of its own. Tables go to stderr, JSON to stdout.

  --repeats N            runs of each job, of which the median counts (default: 3; of growth: 1), turns of each delay (3)
  --against ceph         measures Ceph too, in turns, on the same machine
  --against scrub        measures the same cluster too while every node scrubs, in turns
  --against upkeep       measures the same cluster too while every node scrubs, the replicas of one that lost its directory are
                         rebuilt and 1 GiB is trimmed, in turns
  --against node=FLAGS   measures a cluster too of which Node has these options, in turns: 'node=--v8-pool-size=4'
  --json FILE            the JSON goes to a file
  --size SIZE            size of the device (default: 4Gi), of each store of pieces (default: 512Mi), of each idle volume
                         (default: 1Gi), of the working set of growth (default: 256Mi)
  --block-size SIZE      block size of the volume (default: 4Ki)
  --nodes COUNT          nodes of the cluster (default: 3, the least of delay)
  --volumes COUNT        volumes that are attached and left alone (default: 100)
  --seconds N            how long a job, or a piece, is measured (default: 15), an idle cluster (default: 60), a case
                         of growth (default: 4), or writes, and reads, of a turn of delay (default: 5)
  --overwrite-seconds N  longest time of the random overwrite; 0: none (default: 300)
  --data-dir DIR         where data is put, on the disk to measure (default: the directory for temporary files)
  --plots DIR            where \`growth\` writes an SVG for each axis
  --from FILE            \`growth\` measures nothing and takes the JSON of an earlier run
  --profile DIR          writes V8's CPU profiles of nodes and gateway, and prints what an operation cost by function
`

const FLAGS = {
  repeats: { type: 'string' },
  against: { type: 'string' },
  json: { type: 'string' },
  size: { type: 'string' },
  'block-size': { type: 'string', default: '4Ki' },
  nodes: { type: 'string', default: '3' },
  volumes: { type: 'string', default: '100' },
  seconds: { type: 'string' },
  'overwrite-seconds': { type: 'string', default: '300' },
  'data-dir': { type: 'string' },
  plots: { type: 'string' },
  from: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** What may be named on the command line: all that can be measured of each kind. */
export type KnownNames = Readonly<Record<Measured, readonly string[]>>

interface Kind {
  /** What one of its names stands for. */
  readonly noun: string
  readonly size: string
  readonly seconds: string
  readonly repeats: string
  readonly leastNodes: number
}

const KINDS: Readonly<Record<Measured, Kind>> = {
  jobs: { noun: 'job', size: '4Gi', seconds: '15', repeats: '3', leastNodes: 1 },
  pieces: { noun: 'piece', size: '512Mi', seconds: '15', repeats: '3', leastNodes: 1 },
  idle: { noun: 'part of idle', size: '1Gi', seconds: '60', repeats: '1', leastNodes: 1 },
  // Its volume has three replicas of its one size.
  delay: { noun: 'part of delay', size: '64Mi', seconds: '5', repeats: '3', leastNodes: 3 },
  growth: { noun: 'axis', size: '256Mi', seconds: '4', repeats: '1', leastNodes: 1 },
}

/** Undefined when help was asked for. Throws USAGE that names the flag, or the job that does not exist. */
export function parseOptions(args: readonly string[], known: KnownNames): BenchOptions | undefined {
  const { values, positionals } = parseFlags(args)
  if (values.help) return undefined
  const [first = ''] = positionals
  const what = first !== 'jobs' && Object.hasOwn(KINDS, first) ? (first as Measured) : 'jobs'
  const names = what === 'jobs' ? positionals : positionals.slice(1)
  const kind = KINDS[what]
  const unknown = names.filter((name) => !known[what].includes(name))
  if (unknown.length > 0) {
    throw new AshlarError('USAGE', `no such ${kind.noun}: ${unknown.join(', ')}`, {
      hint: `there are ${known[what].join(', ') || 'none'}`,
    })
  }
  return {
    what,
    names,
    repeats: count('--repeats', values.repeats ?? kind.repeats, 1),
    against: values.against === undefined ? undefined : opponent(values.against),
    jsonFile: values.json,
    plotDirectory: values.plots,
    fromFile: values.from,
    sizeBytes: parseBytes(values.size ?? kind.size),
    blockSizeBytes: parseBytes(values['block-size']),
    nodes: count('--nodes', values.nodes, kind.leastNodes),
    volumes: count('--volumes', values.volumes, 1),
    seconds: count('--seconds', values.seconds ?? kind.seconds, 1),
    overwriteSeconds: count('--overwrite-seconds', values['overwrite-seconds'], 0),
    directory: resolve(values['data-dir'] ?? tmpdir()),
    profileDirectory: values.profile === undefined ? undefined : resolve(values.profile),
  }
}

function opponent(text: string): NonNullable<BenchOptions['against']> {
  if (text === 'ceph' || text === 'scrub' || text === 'upkeep') return text
  if (!/^node=./.test(text)) {
    throw new AshlarError('USAGE', `--against ${text}: there are ceph, scrub, upkeep, and node= with options for Node`)
  }
  return { nodeFlags: text.slice('node='.length).split(' ') }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new AshlarError('USAGE', message, { cause, hint: 'see npm run bench -- --help' })
  }
}

function count(flag: string, text: string, least: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least) {
    throw new AshlarError('USAGE', `${flag} ${text}: give a whole number from ${least} on`)
  }
  return value
}
