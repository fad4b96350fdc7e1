/** `npm run bench:control`: see --help, and docs/benchmarks.md for what is measured and how. */
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { AshlarError, ERRORS, InvariantError, LIMITS, leaseExpiryMs } from '@ashlar/proto'
import { machineFacts } from '../machine-facts.ts'
import { ControlRig, storeNumber, withLogDirectory } from './rig.ts'
import { type Held, Turns } from './turns.ts'

const HELP = `usage: npm run bench:control -- [options]

Measures how long control holds the event loop of a voter up: builds a map in a log on disk, takes a store away, declares it lost,
sends the whole map to a watcher, starts again from the log, takes a snapshot, and starts from that. The longest turn of the event loop
is given by the clock and in CPU time of its thread; the second is worth something also while others use the machine. The table
goes to stderr, JSON to stdout.

  --extents N      extents of the map (default: 100000)
  --stores N       stores that hold them (default: 10)
  --json FILE      the JSON goes to a file
  --data-dir DIR   where the log is put (default: the directory for temporary files)
`

/** What one thing that control does took. */
interface Phase extends Held {
  readonly name: string
  readonly extents: number
  readonly seconds: number
}

interface Options {
  readonly extents: number
  readonly stores: number
  readonly directory: string
  readonly jsonFile: string | undefined
}

/** What the design allows: longer, and data waits for control. */
const BOUND_MS = 50
const REPLICAS = 3
const VOLUME_EXTENTS = 4096
/** A link without a watcher. */
const STRANGER = 9999
const DEADLINE_MS = 120_000

/** Entries between two snapshots: none is taken before it is asked for. */
const NO_SNAPSHOT = { snapshotEntries: Number.MAX_SAFE_INTEGER, snapshotBytes: Number.MAX_SAFE_INTEGER }

type Recorder = (name: string, extents: number, work: () => Promise<void>) => Promise<void>

async function measure(options: Options, directory: string): Promise<Phase[]> {
  const phases: Phase[] = []
  const turns = new Turns()
  const record: Recorder = async (name, extents, work) => {
    const began = performance.now()
    turns.start()
    await work()
    await turn()
    const phase = { name, extents, ...turns.longest, seconds: (performance.now() - began) / 1000 }
    phases.push(phase)
    process.stderr.write(`${line(phase)}\n`)
  }
  const rig = await ControlRig.open(directory, NO_SNAPSHOT)
  await until(rig, () => rig.leader.leads)
  for (let n = 1; n <= options.stores; n++) await rig.register(n)
  for (let made = 0; made < options.extents; made += VOLUME_EXTENTS) {
    const extents = Math.min(VOLUME_EXTENTS, options.extents - made)
    await record('create a volume', extents, () => create(rig, `v${made}`, extents))
  }
  keepLongest(phases)
  await loseStore(rig, options.stores, record)
  const { applied } = rig
  const { revision, extents } = rig.leader.state
  await record('send the whole map', extents.size, async () => {
    const { frameBytes } = rig
    rig.askForMap(STRANGER)
    await until(rig, () => rig.frameBytes > frameBytes)
  })
  await rig.close()
  await startAgain(directory, 'start from the log alone', { revision, extents: extents.size }, record)
  // Each start adds the first entry of a term; with the second of them the log has grown enough.
  const snapshotted = await ControlRig.open(directory, { ...NO_SNAPSHOT, snapshotEntries: applied + 2 })
  await until(snapshotted, () => snapshotted.leader.state.revision >= revision && snapshotted.leader.leads)
  await record('take a snapshot', extents.size, () => until(snapshotted, () => snapshotted.snapshotIndex > 0))
  await snapshotted.close()
  await startAgain(directory, 'start from the snapshot', { revision, extents: extents.size }, record)
  turns.end()
  return phases
}

/** Its lease runs out, and then an operator declares it lost. */
async function loseStore(rig: ControlRig, n: number, record: Recorder): Promise<void> {
  const { state } = rig.leader
  const store = storeNumber(n)
  rig.silence(n)
  await record('lose a store: its lease ran out', state.ledCount(store), () =>
    until(rig, () => state.ledCount(store) === 0),
  )
  await record('declare it lost for good', state.assignedCount(store), async () => {
    const answer = await rig.admin({ do: 'lose-store', store })
    if (answer.type !== 'admin-done' || answer.code !== 0)
      throw new InvariantError(`refused: ${JSON.stringify(answer)}`)
    await until(rig, () => state.assignedCount(store) === 0)
  })
}

async function startAgain(
  directory: string,
  name: string,
  { revision, extents }: { readonly revision: number; readonly extents: number },
  record: Recorder,
): Promise<void> {
  let again: ControlRig | undefined
  // At least: leases of nodes that are not there run out in every start, and that is a change too.
  await record(name, extents, async () => {
    const opened = await ControlRig.open(directory, NO_SNAPSHOT)
    again = opened
    await until(opened, () => opened.leader.state.revision >= revision && opened.leader.leads)
  })
  await again?.close()
}

async function create(rig: ControlRig, name: string, extents: number): Promise<void> {
  const answer = await rig.admin({
    do: 'create-volume',
    name,
    sizeBytes: extents * LIMITS.minExtentBytes,
    blockSizeBytes: LIMITS.defaultBlockBytes,
    extentSizeBytes: LIMITS.minExtentBytes,
    replicas: REPLICAS,
    minInSync: 2,
  })
  if (answer.type !== 'admin-done' || answer.code !== 0) throw new InvariantError(`refused: ${JSON.stringify(answer)}`)
}

/** Of the phases so far the one that held the loop up longest. */
function keepLongest(phases: Phase[]): void {
  phases.sort((a, b) => b.cpuMs - a.cpuMs)
  phases.length = Math.min(1, phases.length)
}

/** Waits turn by turn, since a timer would be late by what is measured. */
async function until(rig: ControlRig, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + leaseExpiryMs() + DEADLINE_MS
  while (!holds()) {
    if (rig.failure !== undefined) throw rig.failure
    if (performance.now() > deadline) throw new AshlarError('TIMEOUT', 'control did not get there in time')
    await turn()
  }
  if (rig.failure !== undefined) throw rig.failure
}

function line({ name, extents, wallMs, cpuMs, seconds }: Phase): string {
  const figures = [extents, cpuMs.toFixed(1), wallMs.toFixed(1), seconds.toFixed(1)]
  return `${name.padEnd(36)}${figures.map((figure) => String(figure).padStart(12)).join('')}${cpuMs > BOUND_MS ? '  over' : ''}`
}

function table(phases: readonly Phase[]): string {
  const head = ['EXTENTS', 'CPU ms', 'WALL ms', 'SECONDS'].map((name) => name.padStart(12)).join('')
  return `${'LONGEST TURN OF THE EVENT LOOP'.padEnd(36)}${head}\n${phases.map(line).join('\n')}\n`
}

function parse(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      extents: { type: 'string', default: '100000' },
      stores: { type: 'string', default: '10' },
      json: { type: 'string' },
      'data-dir': { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    extents: whole('--extents', values.extents, 1, LIMITS.mapExtents),
    stores: whole('--stores', values.stores, REPLICAS + 1, LIMITS.nodes),
    directory: values['data-dir'],
    jsonFile: values.json,
  }
}

function whole(flag: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new AshlarError('USAGE', `${flag} must be a whole number from ${least} to ${most}, not ${text}`)
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2))
  if (options === undefined) return void process.stdout.write(HELP)
  const machine = machineFacts()
  const phases = await withLogDirectory(options.directory, (directory) => measure(options, directory))
  process.stderr.write(`\n${table(phases)}`)
  const json = `${JSON.stringify({ machine, options, phases }, null, 2)}\n`
  if (options.jsonFile === undefined) process.stdout.write(json)
  else await writeFile(options.jsonFile, json)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof AshlarError)) throw error
  process.stderr.write(`bench:control: ${error.message}\n`)
  process.exitCode = ERRORS[error.code].exit
}
