import { relative } from 'node:path'
import { layOut } from '../output.ts'
import { devCommand } from './hints.ts'
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
    ['', 'PROCESS', 'ADDRESS', 'DATA', 'LOG'],
    ...state.nodes.map(({ id, pid, api, dataDir, log }) => [id, String(pid), api, shortest(dataDir), shortest(log)]),
    ['gateway', String(state.gateway?.pid ?? ''), uri, '', shortest(state.gateway?.log ?? '')],
  ]
  const npx = (words: string): string => `npx ${devCommand(words, options.dataDir)}`
  const last = state.nodes.at(-1)?.id ?? 'n1'
  const next = [
    [npx('cluster info'), 'health on one screen'],
    [npx(`extent ls ${volume}`), 'where each part of the volume is'],
    [`nbdinfo ${uri}`, 'the volume as a disk, with any NBD client'],
    ...(state.nodes.length > 1
      ? [[npx(`dev stop ${last} --kill`), `kill a node: nothing is lost; dev start ${last} brings it back`]]
      : []),
    [npx(`dev logs ${last} -f`), 'its log as readable lines'],
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

/** A path as it is shortest from here. */
function shortest(path: string): string {
  const near = relative('', path)
  return near.length < path.length ? near : path
}
