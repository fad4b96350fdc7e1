import { NODE_ENDS, type NodeEnd, nodeEndKindOf } from '@ashlar/proto'
import type { NodeView } from './node-view.ts'
import type { NodeEndResponse } from './peer-schema.ts'
import { quoted, startNode } from './todo.ts'

/** Why a node ended by its own decision, as it reported (A2.23), and what can help. */

export function endResponse({ kind, reason, at }: NodeEnd): NodeEndResponse {
  const known = nodeEndKindOf(kind)
  return { kind, reason, at: new Date(at).toISOString(), exitCode: known === undefined ? null : NODE_ENDS[known].exit }
}

export function endLine({ reason, at, exitCode }: NodeEndResponse): string {
  const exit = exitCode === null ? '' : `, with exit code ${exitCode}`
  return `it ended by its own decision at ${at}${exit}: "${reason}"`
}

/** Never a start that would meet the same cause. */
export function mendEnd(view: NodeView, name: string, { kind }: NodeEndResponse): string[] {
  const start = `then ${startNode(view, name)}`
  switch (nodeEndKindOf(kind)) {
    case 'disk-full':
      return [
        `see what fills the disk of ${name}: ${onItsDisk(view, name, 'df -h')}`,
        `delete what other programs put there, or enlarge that disk, ${start}`,
      ]
    case 'store-failed':
    case 'log-failed':
      return [
        `see whether the disk of ${name} is full: ${onItsDisk(view, name, 'df -h')}`,
        'see whether it fails: dmesg --level=err,warn',
        `repair or replace that disk, ${start}`,
      ]
    case 'other-cluster':
      return [giveDirectoryBack(name), start]
    case 'old-copy':
    case 'data-directory':
    case undefined:
      return [`do what the reason of its end says, ${start}`]
    case 'store-suspect':
    case 'map-ahead':
    case 'internal':
      return [startNode(view, name)]
  }
}

export function giveDirectoryBack(name: string): string {
  return `give ${name} the data directory of this cluster again: the refusal names both clusters`
}

/** A command on the data directory of a node; this node knows the path of those of `ashlar dev` only. */
function onItsDisk({ devDirectory }: NodeView, name: string, command: string): string {
  return devDirectory === undefined ? command : `${command} ${quoted(`${devDirectory}/${name}`)}`
}
