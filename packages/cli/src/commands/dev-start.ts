import { resolve } from 'node:path'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { devProcess, devStateOf, refuseRunning, runningPid } from '../dev/find.ts'
import { devCommand } from '../dev/hints.ts'
import { logSize } from '../dev/log-file.ts'
import { listenerOf } from '../dev/plan.ts'
import { startProcess } from '../dev/processes.ts'
import { describeMajority, gatewayServes, nodeServes } from '../dev/serving.ts'
import { readState, withPid, writeState } from '../dev/state.ts'
import type { Io } from '../io.ts'
import type { Verb } from '../verb.ts'

export function devStart({ io }: Verb): Command {
  const command = new Command('start')
    .description(
      'start nodes, or the gateway, of a development cluster again, one after the other; returns when each node has registered, and the gateway listens',
    )
    .argument('<nodes...>', 'n1, n2, …, or gateway')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, ['ashlar dev start n2', 'ashlar dev start gateway', 'ashlar dev start n1 n2 gateway'])
  return command.action(async (ids: string[]) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    for (const id of ids) await startOne(io, directory, id)
  })
}

async function startOne(io: Io, directory: string, id: string): Promise<void> {
  const state = await devStateOf(directory)
  const pid = await runningPid(state, directory, id)
  if (pid !== undefined) await refuseRunning(directory, id, pid)
  const found = devProcess(state, directory, id)
  const logFrom = await logSize(found.log)
  const child = await startProcess(found, 'alone')
  await writeState(directory, withPid((await readState(directory)) ?? state, id, child.pid ?? 0))
  const started = { id, child, log: found.log, logFrom }
  if ('dataDir' in found) {
    const serving = await nodeServes(started, state)
    if (!serving.registered) {
      const startCommand = (other: string): string => devCommand(`dev start ${other}`, directory)
      io.error(`${id} runs as process ${child.pid} and listens, but ${describeMajority(serving, startCommand)}\n`)
      return
    }
  } else await gatewayServes(started, listenerOf(found))
  io.error(
    `${id} runs as process ${child.pid} and ${'dataDir' in found ? 'has registered' : `listens at ${found.uri}`}\n`,
  )
}
