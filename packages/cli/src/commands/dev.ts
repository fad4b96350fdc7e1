import { resolve } from 'node:path'
import { asCount, DEFAULT_API_PORT, parseBytes } from '@ashlar/node/config'
import { LIMITS } from '@ashlar/proto'
import { Command } from 'commander'
import { ApiClient } from '../api-client.ts'
import { addCommonOptions, examples, sessionOf } from '../common.ts'
import { DevRun } from '../dev/cluster.ts'
import { DEFAULT_DEV_DIRECTORY } from '../dev/hints.ts'
import { checkDevOptions, type DevOptions } from '../dev/plan.ts'
import { readyJson, readyText } from '../dev/ready.ts'
import { readState } from '../dev/state.ts'
import { parsed } from '../flags.ts'
import { GATEWAY_OPTIONS } from '../gateway/options.ts'
import { stopRequests } from '../stop-signals.ts'
import type { Verb } from '../verb.ts'
import { devLogs } from './dev-logs.ts'
import { devStart } from './dev-start.ts'
import { devStop } from './dev-stop.ts'

interface Flags {
  readonly nodes?: string
  readonly dataDir: string
  readonly apiPort?: string
  readonly nbd: string
  readonly volume: string
  readonly size: string
  readonly replicas?: string
  readonly restart?: boolean
}

export function dev(verb: Verb): Command {
  const { io, exit } = verb
  const command = new Command('dev')
    .description('a cluster of real processes on this machine with an NBD gateway, in the foreground')
    .option('--nodes <count>', 'number of nodes (default: 3, or as many as last time)')
    .option('--data-dir <DIR>', 'data directory', DEFAULT_DEV_DIRECTORY)
    .option(
      '--api-port <PORT>',
      `API port of the first node; the others follow, peer ports are 100 higher (default: ${DEFAULT_API_PORT})`,
    )
    .option('--nbd <HOST:PORT|unix:PATH>', 'where the gateway listens', GATEWAY_OPTIONS.listen.default[0])
    .option('--volume <NAME>', 'volume to create if it does not exist', 'demo')
    .option('--size <SIZE>', 'its size', '1Gi')
    .option('--replicas <COUNT>', 'its replicas (default: 3, or as many as there are nodes)')
    .option('--restart', 'start a node or gateway again when it dies')
  addCommonOptions(command)
  examples(command, [
    'ashlar dev',
    'ashlar dev --nodes 5 --size 10Gi',
    'ashlar dev --nodes 1 --data-dir /tmp/one --api-port 8480 --nbd unix:/tmp/nbd.sock',
    'ashlar dev stop n2 --kill',
    'ashlar dev start n2',
    'ashlar dev logs n2 -f',
  ])
  command.addCommand(devStop(verb))
  command.addCommand(devStart(verb))
  command.addCommand(devLogs(verb))
  return command.action(async (flags: Flags) => {
    const { format } = sessionOf(io, command)
    const options = await devOptions(flags)
    const stop = stopRequests(() => process.exit(1))
    const run = new DevRun(io, options)
    // Signals do not keep a process alive, and all nodes may have been stopped by `dev stop`.
    const alive = setInterval(() => undefined, 2 ** 30)
    try {
      const started = run.start()
      // A stop before the cluster serves ends the start, and everything that it started is stopped.
      const ready = await Promise.race([started, stop.asked.then(() => undefined)])
      if (ready !== undefined) {
        const cluster = await new ApiClient(ready.nodes.map(({ api }) => api)).cluster()
        io.out(format === 'json' ? readyJson(ready, cluster.cluster ?? '') : readyText(ready, options))
        await stop.asked
      } else started.catch(() => undefined)
      io.error('stopping\n')
      await run.stop()
      exit(0)
    } finally {
      clearInterval(alive)
      stop.release()
    }
  })
}

/** Options that are not given are as in the last run in this directory, so that a second run finds its data. */
async function devOptions(flags: Flags): Promise<DevOptions> {
  const dataDir = resolve(flags.dataDir)
  const before = await readState(dataDir)
  const nodes = flags.nodes === undefined ? (before?.nodes.length ?? 3) : parsed('--nodes', flags.nodes, asCount.parse)
  const options: DevOptions = {
    nodes,
    dataDir,
    apiPort:
      flags.apiPort === undefined
        ? (before?.apiPort ?? DEFAULT_API_PORT)
        : parsed('--api-port', flags.apiPort, asCount.parse),
    nbd: parsed('--nbd', flags.nbd, GATEWAY_OPTIONS.listen.parse)[0] ?? '',
    volume: flags.volume,
    sizeBytes: parsed('--size', flags.size, parseBytes),
    replicas:
      flags.replicas === undefined
        ? Math.min(LIMITS.defaultReplicas, nodes)
        : parsed('--replicas', flags.replicas, asCount.parse),
    restart: flags.restart === true,
  }
  checkDevOptions(options)
  return options
}
