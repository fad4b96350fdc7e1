import { relative } from 'node:path'
import { layOut } from '../output.ts'
import type { DevOptions } from './plan.ts'
import type { DevState } from './state.ts'

/** The one line that `ashlar dev -o json` prints once everything serves. */
export function readyJson(state: DevState, cluster: string): string {
  const nodes = state.nodes.map(({ id, pid, api, peer, dataDir, command }) => ({
    id,
    pid,
    api,
    peer,
    dataDir,
    command,
  }))
  const gateway = state.gateway && { pid: state.gateway.pid, nbd: [state.gateway.uri], command: state.gateway.command }
  return `${JSON.stringify({ cluster, nodes, gateway })}\n`
}

/** What is running, and what to try next. */
export function readyText(state: DevState, options: DevOptions): string {
  const { volume } = options
  const uri = state.gateway?.uri ?? ''
  const processes = [
    ['', 'PROCESS', 'ADDRESS', 'DATA'],
    ...state.nodes.map(({ id, pid, api, dataDir }) => [id, String(pid), api, relative('', dataDir)]),
    ['gateway', String(state.gateway?.pid ?? ''), uri, ''],
  ]
  const last = state.nodes.at(-1)?.id ?? 'n1'
  const next = [
    ['npx ashlar cluster info', 'health on one screen'],
    [`npx ashlar extent ls ${volume}`, 'where each part of the volume is'],
    [`nbdinfo ${uri}`, 'the volume as a disk, with any NBD client'],
    ...(state.nodes.length > 1
      ? [[`npx ashlar dev stop ${last} --kill`, `kill a node: nothing is lost; dev start ${last} brings it back`]]
      : []),
    ['npx ashlar --help', 'everything else'],
  ]
  return [
    `\nAshlar is running. Ctrl-C stops all of it; the data stays in ${options.dataDir}.\n\n`,
    layOut(processes, '  '),
    '\nTry next, in another terminal:\n\n',
    layOut(next, '  '),
    '\nReady\n',
  ].join('')
}
