import { readdir, readFile } from 'node:fs/promises'
import { type Node, type NodeOptions, Observer, startNode } from '@ashlar/node'
import {
  formatAddress,
  isWildcard,
  knownPeers,
  type LoadedOptions,
  loadOptions,
  parseAddress,
  printOptions,
  SERVER_OPTIONS,
  type ServerOptions,
  VERSION,
  validateServerOptions,
} from '@ashlar/node/internal'
import { AshlarError, type NodeName } from '@ashlar/proto'
import { Command } from 'commander'
import { addTableOptions, examples, tableFlags } from '../common.ts'
import { describeFailure } from '../failure.ts'
import type { Io } from '../io.ts'
import type { Verb } from '../program.ts'
import { stopRequests } from '../stop-signals.ts'

/** Exit code of a node that ends for any reason but being asked to, or wrong options. */
const FAILED = 1

export function serverRun({ io, exit }: Verb): Command {
  const command = new Command('run')
    .description('one storage node, in the foreground; its log goes to standard output')
    .option('--config <FILE>', 'options as YAML, by the names of the flags; flags and ASHLAR_… variables win')
    .option('--print-config', 'print each option with its value and where it came from, and do nothing else')
  addTableOptions(command, SERVER_OPTIONS)
  examples(command, [
    'ashlar server run --data-dir /var/lib/ashlar --init',
    'ashlar server run --data-dir d1 --listen 127.0.0.1:7581 --api 127.0.0.1:7481 --name n1 \\',
    '    --peers 127.0.0.1:7581,127.0.0.1:7582,127.0.0.1:7583 --expect 3',
    'ashlar server run --config /etc/ashlar.yaml --print-config',
  ])
  return command.action(async (options: { config?: string; printConfig?: boolean }) => {
    const loaded = await load(io, command, options.config)
    if (options.printConfig === true) return io.out(printOptions(SERVER_OPTIONS, loaded))
    exit(await runServer(io, loaded.values))
  })
}

async function load(
  io: Io,
  command: Command,
  config: string | undefined,
): Promise<LoadedOptions<typeof SERVER_OPTIONS>> {
  const path = config ?? io.environment['ASHLAR_CONFIG']
  const flags = tableFlags(command, SERVER_OPTIONS)
  const { environment } = io
  if (path === undefined || path === '') return loadOptions(SERVER_OPTIONS, { flags, environment })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new AshlarError('USAGE', `--config: ${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return loadOptions(SERVER_OPTIONS, { flags, environment, file: { path, text } })
}

/** Runs a node until it is asked to stop. Resolves to the exit code; throws USAGE for wrong options. */
async function runServer(io: Io, options: ServerOptions): Promise<number> {
  const insecure = validateServerOptions(options, { empty: await isEmptyDirectory(options.dataDir) })
  const observer = new Observer({ level: options.logLevel, name: options.name, version: VERSION })
  // A node that cannot go on ends at once: nothing of it may be believed any more, and what it acknowledged is on disk.
  const fail = (reason: string, cause?: unknown): never => {
    observer.log.fatal({ reason, err: cause }, 'fatal')
    const because = cause instanceof Error ? `: ${cause.message}` : ''
    io.error(`ashlar: ${options.name} cannot go on: ${reason}${because}\n`)
    process.exit(FAILED)
  }
  process.on('uncaughtException', (error) => fail('an error that nobody expected', error))
  const stop = stopRequests(() => process.exit(FAILED))
  try {
    const node = await startNode(nodeOptions(options, observer, insecure, fail))
    observer.log.info({ address: node.address, api: node.api, dataDir: options.dataDir, version: VERSION }, 'serving')
    observer.log.info({ why: await stop.asked }, 'stopping')
    await stopWithin(node, options.stopTimeoutMs, observer)
    return 0
  } catch (error) {
    observer.log.fatal({ err: error }, 'failed')
    io.error(`ashlar: ${describeFailure(error)}\n`)
    return FAILED
  } finally {
    stop.release()
  }
}

function nodeOptions(
  options: ServerOptions,
  observer: Observer,
  insecure: NodeOptions['insecure'],
  onFatal: NodeOptions['onFatal'],
): NodeOptions {
  const peers = knownPeers(options)
  const api = parseAddress(options.api)
  const host = parseAddress(options.advertise ?? options.listen).host
  return {
    dataDir: options.dataDir,
    listen: parseAddress(options.listen),
    advertise: options.advertise,
    api: options.api,
    // Others reach the API at the host under which they reach the node, where it listens on every interface.
    advertiseApi: isWildcard(api.host) ? formatAddress({ host, port: api.port }) : undefined,
    name: options.name as NodeName,
    peers,
    // A node that was told of nobody else belongs to a cluster already: only --init founds one of a single node.
    expect: options.init ? 1 : Math.max(2, options.expect ?? peers.length),
    observer,
    version: VERSION,
    insecure,
    onFatal,
    ...(options.ballastBytes === undefined ? {} : { ballastBytes: options.ballastBytes }),
  }
}

/** Everything acknowledged is on stable storage whether or not the stop succeeds, so that a slow one may be cut off. */
async function stopWithin(node: Node, timeoutMs: number, observer: Observer): Promise<void> {
  const late = setTimeout(() => {
    observer.log.warn({ timeoutMs }, 'stop-timed-out')
    process.exit(FAILED)
  }, timeoutMs)
  try {
    await node.stop()
    observer.log.info({}, 'stopped')
  } finally {
    clearTimeout(late)
  }
}

/** True for a directory that holds nothing or does not exist. Anything else there is the store's to judge. */
async function isEmptyDirectory(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    const problem = code === 'ENOTDIR' ? 'is not a directory' : `cannot be read: ${(error as Error).message}`
    throw new AshlarError('USAGE', `--data-dir: ${path} ${problem}`, { cause: error })
  }
}
