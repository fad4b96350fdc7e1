import { readFile } from 'node:fs/promises'
import type { LocalResponse } from '@ashlar/node/config'
import { AshlarError } from '@ashlar/proto'
import { ApiClient } from '../api-client.ts'
import { devCommand } from './hints.ts'
import type { PlannedNode } from './plan.ts'
import { runsCommand } from './processes.ts'
import { type DevState, readState } from './state.ts'

/** A node gets this long to respond. */
export const LOOK_MS = 1000

export type DevNode = DevState['nodes'][number]

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
  const answering = 'dataDir' in found ? (await localOf(found))?.pid : undefined
  if (answering !== undefined) return answering
  return (await runsCommand(found.pid, found.command)) ? found.pid : undefined
}

/** What the process reports that serves a node's data directory at its API now; undefined when none responds. */
export async function localOf(node: Pick<PlannedNode, 'api' | 'dataDir'>): Promise<LocalResponse | undefined> {
  try {
    const local = await new ApiClient([node.api]).local(LOOK_MS)
    return local.dataDir === node.dataDir ? local : undefined
  } catch (error) {
    if (error instanceof AshlarError) return undefined
    throw error
  }
}

/** Refuses to start what runs: with what to do where its process is stopped, as by SIGSTOP. */
export async function refuseRunning(directory: string, id: string, pid: number): Promise<never> {
  if (await isStopped(pid)) {
    throw new AshlarError('CONFLICT', `${id} runs as process ${pid}, which is stopped by a signal`, {
      hint: `continue it with: kill -CONT ${pid}`,
    })
  }
  throw new AshlarError('CONFLICT', `${id} already runs as process ${pid}`, {
    hint: `stop it with: ${devCommand(`dev stop ${id}`, directory)}`,
  })
}

/** True where the system shows that a signal stopped the process. */
export async function isStopped(pid: number): Promise<boolean> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The state follows the name of the program, which is in parentheses and may contain any character.
    return /^ [Tt] /.test(text.slice(text.lastIndexOf(')') + 1))
  } catch {
    return false
  }
}
