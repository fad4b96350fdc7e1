import type { Failure, Server, ServerSource } from '../servers.ts'
import { devStateOf, isStopped } from './find.ts'
import { DEFAULT_DEV_DIRECTORY, devCommand } from './hints.ts'
import { isAlive, runsCommand } from './processes.ts'
import { type DevState, readState } from './state.ts'

/** Where a cluster of `ashlar dev` has its API by default. */
const DEFAULT_SERVERS = ['http://127.0.0.1:7480', 'http://127.0.0.1:7481', 'http://127.0.0.1:7482']

/**
 * The servers that a command may use: those that --server names, then the other nodes of the development cluster in --data-dir.
 * Without --data-dir, the one in the default directory counts where it has a node that --server names, or where none is named.
 */
export function serversOf(given: readonly string[], dataDir: string | undefined): ServerSource {
  let state: DevState | undefined
  const directory = dataDir ?? DEFAULT_DEV_DIRECTORY
  return {
    async groups() {
      state = await stateIn(directory, dataDir !== undefined)
      const known = state?.nodes.map(({ id, api }): Server => ({ node: id, url: api })) ?? []
      const named = given.map((url) => known.find((server) => server.url === url) ?? { url })
      if (given.length > 0) {
        if (dataDir === undefined && !known.some(({ url }) => given.includes(url))) state = undefined
        return state === undefined ? [named] : [named, known]
      }
      return dataDir === undefined ? [known, DEFAULT_SERVERS.map((url) => ({ url }))] : [known]
    },
    async advice(failures) {
      if (state !== undefined) return await adviceFor(state, directory, failures)
      return given.length > 0
        ? 'check the address, name other nodes of the cluster: --server URL,URL, or the --data-dir of ashlar dev'
        : 'start a cluster with "ashlar dev", name the --data-dir of one, or set --server or ASHLAR_SERVER to the API of a node'
    },
  }
}

/** A file in the default directory that cannot be read is not what the command was asked about. */
async function stateIn(directory: string, isNamed: boolean): Promise<DevState | undefined> {
  if (isNamed) return await devStateOf(directory)
  return await readState(directory).catch(() => undefined)
}

async function adviceFor(state: DevState, directory: string, failures: readonly Failure[]): Promise<string> {
  const tried = state.nodes.filter(({ api }) => failures.some(({ server }) => server.url === api))
  const running: string[] = []
  for (const { id, pid, command } of tried) {
    if (!(await runsCommand(pid, command))) continue
    const hung = `process ${pid} of ${id} runs and does not respond: look at its log with: ${devCommand(`dev logs ${id}`, directory)}`
    running.push((await isStopped(pid)) ? `process ${pid} of ${id} is stopped by a signal: kill -CONT ${pid}` : hung)
  }
  if (running.length > 0) return running.join('; ')
  // The number may belong to another process by now, but then the command says so.
  if (!isAlive(state.pid)) return `start the cluster again with: ${devCommand('dev', directory)}`
  return `start the nodes again: ${tried.map(({ id }) => devCommand(`dev start ${id}`, directory)).join('; ')}`
}
