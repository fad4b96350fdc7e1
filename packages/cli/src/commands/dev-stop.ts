import { resolve } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { examples, mergedOptions } from '../common.ts'
import { answeringPid } from '../dev/cluster.ts'
import { endProcesses, runsCommand, signal, waitForEnds } from '../dev/processes.ts'
import { type DevState, readState } from '../dev/state.ts'
import type { Verb } from '../verb.ts'

const STOP_MS = 30_000

export function devStop({ io }: Verb): Command {
  const command = new Command('stop')
    .description('stop one node, or the gateway, of a running development cluster')
    .argument('<node>', 'n1, n2, …, or gateway')
    .option('--kill', 'send SIGKILL, so that it cannot hand over first')
    .option('--data-dir <DIR>', 'data directory of the cluster')
  examples(command, ['ashlar dev stop n2', 'ashlar dev stop n2 --kill', 'ashlar dev stop gateway'])
  return command.action(async (id: string, options: { kill?: boolean }) => {
    const directory = resolve(String(mergedOptions(command)['dataDir']))
    const pid = await runningPid(await devStateOf(directory), directory, id)
    if (pid === undefined) throw new AshlarError('CONFLICT', `${id} is not running`, { hint: `ashlar dev start ${id}` })
    if (options.kill === true) {
      signal(pid, 'SIGKILL')
      await waitForEnds([pid], STOP_MS)
    } else {
      const killed = await endProcesses([pid], STOP_MS)
      if (killed.length > 0) io.error(`${id} did not end within ${STOP_MS / 1000} s and was killed\n`)
    }
    io.error(`${id} (process ${pid}) is stopped; start it again with: ashlar dev start ${id}\n`)
  })
}

/** The development cluster of a directory. Throws NOT_FOUND when there is none. */
export async function devStateOf(directory: string): Promise<DevState> {
  const state = await readState(directory)
  if (state !== undefined) return state
  throw new AshlarError('NOT_FOUND', `there is no development cluster in ${directory}`, {
    hint: 'start one with "ashlar dev", or name its --data-dir',
  })
}

/** A node or the gateway as the state file has it. Throws NOT_FOUND. */
export function devProcess(state: DevState, directory: string, id: string) {
  const found = id === 'gateway' ? state.gateway : state.nodes.find((node) => node.id === id)
  if (found !== undefined) return found
  const names = [...state.nodes.map((node) => node.id), 'gateway']
  throw new AshlarError('NOT_FOUND', `the cluster in ${directory} has no ${id}`, {
    hint: `there are ${names.join(', ')}`,
  })
}

/** The process that runs it now: the one that serves its data directory, else the one in the state file. */
export async function runningPid(state: DevState, directory: string, id: string): Promise<number | undefined> {
  const found = devProcess(state, directory, id)
  const answering = 'dataDir' in found ? await answeringPid(found) : undefined
  if (answering !== undefined) return answering
  return (await runsCommand(found.pid, found.command)) ? found.pid : undefined
}
