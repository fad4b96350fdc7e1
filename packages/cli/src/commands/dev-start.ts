import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { answeringPid } from '../dev/cluster.ts'
import { describeEnd, hasEnded, lastWords, startProcess } from '../dev/processes.ts'
import { readState, withPid, writeState } from '../dev/state.ts'
import type { Verb } from '../verb.ts'
import { devProcess, devStateOf, runningPid } from './dev-stop.ts'

/** How long the command waits for a store to open. */
const OPEN_MS = 60_000
const POLL_MS = 50

export function devStart({ io }: Verb): Command {
  const command = new Command('start')
    .description('start a node, or the gateway, of a development cluster again')
    .argument('<node>', 'n1, n2, …, or gateway')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, ['ashlar dev start n2', 'ashlar dev start gateway'])
  return command.action(async (id: string) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    const state = await devStateOf(directory)
    const pid = await runningPid(state, directory, id)
    if (pid !== undefined) throw new AshlarError('CONFLICT', `${id} already runs as process ${pid}`)
    const found = devProcess(state, directory, id)
    const child = await startProcess(found, 'alone')
    await writeState(directory, withPid((await readState(directory)) ?? state, id, child.pid ?? 0))
    const deadline = performance.now() + OPEN_MS
    for (;;) {
      if (hasEnded(child)) {
        const words = (await lastWords(found.log)) ?? 'it gave no reason'
        throw new AshlarError('INTERNAL', `${id} ended ${describeEnd(child)}: ${words}`, {
          hint: `its log is ${found.log}`,
        })
      }
      if (!('dataDir' in found) || (await answeringPid(found)) === child.pid) break
      if (performance.now() > deadline) throw new AshlarError('TIMEOUT', `${id} is still opening its store`)
      await delay(POLL_MS)
    }
    io.error(`${id} runs as process ${child.pid}\n`)
  })
}
