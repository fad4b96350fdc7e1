import { Readable } from 'node:stream'
import { loadOptions } from '@ashlar/node/config'
import { Command } from 'commander'
import { addCommonOptions, addTableOptions, examples, sessionOf, tableFlags } from '../common.ts'
import { checkGatewayOptions, GATEWAY_OPTIONS } from '../gateway/options.ts'
import { stopRequests } from '../stop-signals.ts'
import type { Verb } from '../verb.ts'

export function gatewayRun({ io, exit }: Verb): Command {
  const command = new Command('run').description(
    'serve volumes over NBD, in the foreground; a client that opens an export attaches its volume, ' +
      'which is refused while another holder was heard of within 30 seconds (see --take-over). ' +
      'Exits 4 when another client takes a volume that is open here. ' +
      'Sockets passed by LISTEN_FDS (socket activation) replace --listen; the log then goes to standard error',
  )
  addTableOptions(command, GATEWAY_OPTIONS)
  addCommonOptions(command)
  examples(command, [
    'ashlar gateway run',
    'ashlar gateway run --listen unix:/run/ashlar.sock --export demo --peers n1:7580,n2:7580',
    'ashlar gateway run --read-only --listen 127.0.0.1:10810',
    'ashlar gateway run --export demo --take-over',
    'ashlar gateway run --backend memory --size 512Mi',
    'nbdinfo -- [ ashlar gateway run --backend memory ]',
    'nbdsh -c \'h.connect_command(["ashlar", "gateway", "run", "--stdio", "--export", "demo"])\' -c \'print(h.get_size())\'',
  ])
  return command.action(async () => {
    const flags = tableFlags(command, GATEWAY_OPTIONS)
    const loaded = loadOptions(GATEWAY_OPTIONS, { flags, environment: io.environment })
    checkGatewayOptions(loaded)
    const { values } = loaded
    const { runGateway } = await import('../gateway/run.ts')
    // With --stdio, standard input belongs to the client.
    const stop = values.stdio
      ? stopRequests(() => process.exit(1), {}, Readable.from([]))
      : stopRequests(() => process.exit(1))
    try {
      exit(await runGateway(values, sessionOf(io, command).api, stop, io.environment))
    } finally {
      stop.release()
    }
  })
}
