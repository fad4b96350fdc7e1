import { resolve } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { devStateOf, runningPid } from '../dev/find.ts'
import { devCommand } from '../dev/hints.ts'
import { endProcesses, isAlive, signal, waitForEnds } from '../dev/processes.ts'
import type { Io } from '../io.ts'
import type { Verb } from '../verb.ts'

const STOP_MS = 30_000

export function devStop({ io }: Verb): Command {
  const command = new Command('stop')
    .description('stop nodes, or the gateway, of a running development cluster; returns when each process has ended')
    .argument('<nodes...>', 'n1, n2, …, or gateway')
    .option('--kill', 'send SIGKILL, so that it cannot hand over first')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, [
    'ashlar dev stop n2',
    'ashlar dev stop n2 --kill',
    'ashlar dev stop gateway',
    'ashlar dev stop n3 gateway',
  ])
  return command.action(async (ids: string[], options: { kill?: boolean }) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    const state = await devStateOf(directory)
    const running = await Promise.all(ids.map(async (id) => ({ id, pid: await runningPid(state, directory, id) })))
    for (const { id, pid } of running) {
      if (pid !== undefined) await stopOne(io, directory, { id, pid, kill: options.kill === true })
      else if (ids.length === 1) {
        throw new AshlarError('CONFLICT', `${id} is not running`, { hint: devCommand(`dev start ${id}`, directory) })
      } else io.error(`${id} is not running\n`)
    }
  })
}

async function stopOne(
  io: Io,
  directory: string,
  { id, pid, kill }: { readonly id: string; readonly pid: number; readonly kill: boolean },
): Promise<void> {
  if (kill) {
    signal(pid, 'SIGKILL')
    await waitForEnds([pid], STOP_MS)
  } else {
    const killed = await endProcesses([pid], STOP_MS)
    if (killed.length > 0) io.error(`${id} did not end within ${STOP_MS / 1000} s and was killed\n`)
  }
  if (isAlive(pid)) {
    throw new AshlarError('TIMEOUT', `${id} (process ${pid}) was killed and has not ended: it may wait for its disk`, {
      hint: `see its state: ps -o pid,stat,wchan -p ${pid}`,
    })
  }
  const start = devCommand(`dev start ${id}`, directory)
  io.error(`${id} (process ${pid}) has ended; start it again with: ${start}\n`)
}
