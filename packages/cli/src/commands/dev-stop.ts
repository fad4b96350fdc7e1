import { resolve } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { devStateOf, runningPid } from '../dev/find.ts'
import { devCommand } from '../dev/hints.ts'
import { endProcesses, isAlive, signal, waitForEnds } from '../dev/processes.ts'
import type { Verb } from '../verb.ts'

const STOP_MS = 30_000

export function devStop({ io }: Verb): Command {
  const command = new Command('stop')
    .description('stop one node, or the gateway, of a running development cluster; returns when its process has ended')
    .argument('<node>', 'n1, n2, …, or gateway')
    .option('--kill', 'send SIGKILL, so that it cannot hand over first')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, ['ashlar dev stop n2', 'ashlar dev stop n2 --kill', 'ashlar dev stop gateway'])
  return command.action(async (id: string, options: { kill?: boolean }) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    const pid = await runningPid(await devStateOf(directory), directory, id)
    const start = devCommand(`dev start ${id}`, directory)
    if (pid === undefined) throw new AshlarError('CONFLICT', `${id} is not running`, { hint: start })
    if (options.kill === true) {
      signal(pid, 'SIGKILL')
      await waitForEnds([pid], STOP_MS)
    } else {
      const killed = await endProcesses([pid], STOP_MS)
      if (killed.length > 0) io.error(`${id} did not end within ${STOP_MS / 1000} s and was killed\n`)
    }
    if (isAlive(pid)) {
      throw new AshlarError(
        'TIMEOUT',
        `${id} (process ${pid}) was killed and has not ended: it may wait for its disk`,
        {
          hint: `see its state: ps -o pid,stat,wchan -p ${pid}`,
        },
      )
    }
    io.error(`${id} (process ${pid}) has ended; start it again with: ${start}\n`)
  })
}
