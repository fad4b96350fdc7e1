import type { NodeView } from './node-view.ts'

/**
 * What an operator can do, one sentence each. A command that helps is the whole sentence, or its end after a colon, so that
 * people paste it and tests run it.
 */

/** For what the cluster mends without an operator. */
export const WAIT_FOR_COPIES = 'wait until everything is in sync again: ashlar cluster wait --for healthy --timeout 10m'

export function startNode({ devDirectory }: NodeView, name: string): string {
  // Without a map a node may be known by its address alone.
  if (devDirectory === undefined || name.includes(':'))
    return `start ${name} again over its data directory; if it does not start, its log says why`
  return `start ${name} again: ashlar dev start ${name} --data-dir ${quoted(devDirectory)}`
}

/** The log of a node: `purpose` says what for. */
export function readLog({ devDirectory }: NodeView, name: string, purpose: string): string {
  if (devDirectory === undefined || name.includes(':')) return `read the log of ${name}, ${purpose}`
  return `read the log of ${name}, ${purpose}: ashlar dev logs ${name} --data-dir ${quoted(devDirectory)}`
}

export function explainVolumeCommand(name: string): string {
  return `see what volume ${name} waits for: ashlar explain volume ${name}`
}

export function declareLost(name: string): string {
  return `if ${name} never comes back, see what declaring it lost costs: ashlar node lost ${name}`
}

/** A command that requests something of the cluster, and does not say of which. */
const OF_SOME_CLUSTER =
  /(?:^|: )ashlar (?:cluster (?!recover)|explain |extent |node |volume )(?!.* --(?:data-dir|server) )/

/** The same actions, where every command finds the cluster of this node: that of `ashlar dev` may have any ports. */
export function complete({ devDirectory }: Pick<NodeView, 'devDirectory'>, todo: readonly string[]): string[] {
  if (devDirectory === undefined) return [...todo]
  return todo.map((line) => (OF_SOME_CLUSTER.test(line) ? `${line} --data-dir ${quoted(devDirectory)}` : line))
}

/** A path as one word of a shell. */
export function quoted(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
