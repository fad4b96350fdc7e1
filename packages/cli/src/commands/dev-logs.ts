import { resolve } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { devProcess, devStateOf } from '../dev/find.ts'
import { logLines, storeNames } from '../dev/log-file.ts'
import { readableLine } from '../dev/log-lines.ts'
import { stopRequests } from '../stop-signals.ts'
import type { Verb } from '../verb.ts'

export function devLogs({ io }: Verb): Command {
  const command = new Command('logs')
    .description('the log of a node, or of the gateway, as readable lines; the file is DATA-DIR/logs/NAME.log')
    .argument('<node>', 'n1, n2, …, or gateway')
    .option('-f, --follow', 'also print lines as they are written, until Ctrl-C')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, ['ashlar dev logs n2', 'ashlar dev logs n2 -f', 'ashlar dev logs gateway | tail'])
  return command.action(async (id: string, { follow }: { follow?: true }) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    const state = await devStateOf(directory)
    const { log } = devProcess(state, directory, id)
    const names = await storeNames(state)
    if (follow !== true) return await print(log)
    const stop = stopRequests(() => process.exit(1), {})
    const ended = new AbortController()
    void stop.asked.then(() => ended.abort())
    await print(log, ended.signal).finally(() => stop.release())

    async function print(path: string, until?: AbortSignal): Promise<void> {
      try {
        for await (const line of logLines(path, until)) io.out(`${readableLine(line, names)}\n`)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        throw new AshlarError('NOT_FOUND', `${id} has no log yet: ${path} does not exist`, { cause: error })
      }
    }
  })
}
