import { readFile } from 'node:fs/promises'
import { type LoadedOptions, loadOptions, printOptions, SERVER_OPTIONS } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addTableOptions, examples, tableFlags } from '../common.ts'
import type { Io } from '../io.ts'
import type { Verb } from '../verb.ts'

export function serverRun({ io, exit }: Verb): Command {
  const command = new Command('run')
    .description('one storage node, in the foreground; its log goes to standard output')
    .option(
      '--config <FILE>',
      'options as YAML, by the names of the flags; flags and ASHLAR_… variables take precedence',
    )
    .option('--print-config', 'print each option with its value and its source, and exit')
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
    // Imported late: it is slow to load, and most commands run no node.
    const { runServer } = await import('../server/run.ts')
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
