import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { complete, quoted } from '../admin/todo.ts'
import { devDirectoryOf } from '../runtime/dev-cluster.ts'
import type { ClusterRecovery } from './recovery-result.ts'

type Recovery = Omit<ClusterRecovery, 'todo'>

/** Extents and nodes that get a line of their own. */
const NAMED = 20

/** Everything that is left until the cluster is healthy again, in order. */
/** `address`: what `--address` was given. */
export function todoOf(recovery: Recovery, address: string | undefined): string[] {
  if (recovery.newCluster === undefined) {
    const from = recovery.stores.map(({ directory }) => quoted(directory)).join(',')
    const at = address === undefined ? '' : ` --address ${address}`
    return [`stop all nodes of the cluster, then make the new one: ashlar cluster recover --from ${from}${at} --yes`]
  }
  const left = [
    ...starts(recovery),
    'restart programs that were connected before, other gateways too: they belong to the old cluster',
    ...losses(recovery),
    ...voters(recovery),
    'wait until every replica is copied: ashlar cluster wait --for healthy --timeout 10m',
    ...recovery.absentNodes
      .slice(0, NAMED)
      .map(({ node, store }) => `if ${node} never comes back: ashlar node lost ${mapName(store)}`),
  ]
  return complete({ devDirectory: devDirectoryIn(recovery) }, left)
}

/** Directory of the `ashlar dev` that the stores belong to. */
function devDirectoryIn({ stores: [first] }: Recovery): string | undefined {
  return first === undefined ? undefined : devDirectoryOf(first.directory, basename(first.directory))
}

/** The nodes that are left first, since only they know the cluster, then the others over empty directories. */
function starts(recovery: Recovery): string[] {
  const { stores, absentNodes } = recovery
  const dev = devDirectoryIn(recovery)
  const absent = [...new Set(absentNodes.map(({ node }) => node))]
  if (dev === undefined)
    return [
      ...stores.map(({ node, directory }) => `start ${node} over ${directory}`),
      ...absent.map((node) => `start ${node} over an empty directory, under its name and address`),
    ]
  const here = stores.map(({ directory }) => basename(directory))
  const others = absent.filter((node) => !here.includes(node) && !node.includes(':') && !node.includes('-'))
  const full = others.map((node) => join(dev, node)).filter((path) => existsSync(join(path, 'store')))
  const again = [...here, ...others, 'gateway'].join(' ')
  return [
    ...full.map((path) => `put aside what is left of the old cluster: mv ${quoted(path)} ${quoted(`${path}.before`)}`),
    `start the nodes over what is left, then the others over empty directories: ashlar dev start ${again} --data-dir ${quoted(dev)}`,
  ]
}

function losses({ uncertain, missing, stores, volumes }: Recovery): string[] {
  const node = stores[0]?.node ?? 'NODE'
  const forced = missing
    .slice(0, NAMED)
    .map(
      (extent) =>
        `extent ${extent} is missing, and empty once it is served: ashlar extent force-primary ${extent} --node ${node} --accept-data-loss`,
    )
  const more =
    missing.length > NAMED ? [`do the same for ${missing.length - NAMED} more missing extents: see -o json`] : []
  const acknowledged = volumes.flatMap(({ name }) => {
    const of = (extent: string) => extent.startsWith(`${name}/`)
    const unsure = uncertain.filter(({ extent }) => of(extent))
    const gone = missing.filter(of)
    if (unsure.length + gone.length === 0) return []
    const nodes = [...new Set(unsure.flatMap(({ absentNodes }) => absentNodes))].join(', ')
    const what = [
      ...(unsure.length === 0
        ? []
        : [`${numbered(unsure.map(({ extent }) => extent))} may lack writes that ${nodes} acknowledged`]),
      ...(gone.length === 0 ? [] : [`${numbered(gone)} had no replica left`]),
    ]
    return [
      `check the data of ${name} (${what.join('; ')}), then end its warning: ashlar volume acknowledge-loss ${name}`,
    ]
  })
  return [...forced, ...more, ...acknowledged]
}

function numbered(extents: readonly string[]): string {
  const numbers = extents.slice(0, NAMED).map((extent) => extent.slice(extent.lastIndexOf('/') + 1))
  const more = extents.length > NAMED ? ` and ${extents.length - NAMED} more` : ''
  return `${extents.length === 1 ? 'extent' : 'extents'} ${numbers.join(', ')}${more}`
}

function voters({ absentNodes, votersReturn, stores, voter }: Recovery): string[] {
  const absent = absentNodes.filter(({ voted }) => voted).map(({ node }) => node)
  if (absent.length === 0) return []
  if (votersReturn)
    return [
      `${absent.join(', ')} vote again by themselves once they hold control's log; until then only ${voter.node} does: ashlar cluster leader show`,
    ]
  const named = [...absent, ...stores.slice(1).map(({ node }) => node)].slice(0, absent.length + stores.length - 1)
  return named.flatMap((node) => [
    `let ${node} follow control's log: ashlar cluster membership add ${node}`,
    `once ${node} has caught up, let it vote: ashlar cluster membership promote ${node}`,
  ])
}

/** The name that the rebuilt map has for a store that has not registered. */
function mapName(store: string): string {
  return `store-${store.slice(-12)}`
}
