import type { ExtentRecord, MapCopy, NodeRecord, StoreId, VolumeRecord } from '@ashlar/proto'
import { nodesThatCount } from './health.ts'
import type { LoseReport } from './loss-schemas.ts'
import { counted } from './plurals.ts'

/** Extents that one sentence names. */
const NAMED = 10

/** What declaring a store permanently lost costs, as far as this node's map shows (amendment 15). */
export function loseReport(map: MapCopy, node: NodeRecord): LoseReport {
  const held = [...map.volumes.values()].flatMap((volume) =>
    map
      .extentsOf(volume.id)
      .map((record, index) => ({ volume, record, name: `${volume.name}/${index}` }))
      .filter(({ record }) => record.assigned.includes(node.store)),
  )
  const onlyHere = held.filter(({ record }) => isLast(map, record, node.store)).map(({ name }) => name)
  const possible = node.state === 'down'
  return {
    node: node.name,
    store: node.store,
    possible,
    because: possible
      ? [map.gone.has(node.store) ? 'it is declared lost already' : 'its lease ran out']
      : [`it is ${node.state}: stop it first, and wait until its lease runs out`],
    costs: possible ? costsOf(map, node, held, onlyHere) : [],
    replicas: held.length - onlyHere.length,
    onlyHere,
  }
}

/** No other trusted store holds every acknowledged write of it. */
function isLast(map: MapCopy, { inSync, eligible }: ExtentRecord, store: StoreId): boolean {
  const holders = [...inSync, ...eligible]
  return holders.includes(store) && !holders.some((other) => other !== store && countsOn(map, other))
}

function countsOn(map: MapCopy, store: StoreId): boolean {
  const node = map.nodes.get(store)
  return node?.trust === 'trusted' && node.address !== '' && !map.gone.has(store)
}

type Held = { readonly volume: VolumeRecord; readonly record: ExtentRecord; readonly name: string }

function costsOf(map: MapCopy, node: NodeRecord, held: readonly Held[], onlyHere: readonly string[]): string[] {
  const costs: string[] = []
  if (onlyHere.length > 0)
    costs.push(
      `only it holds every acknowledged write of ${some(onlyHere)}: these have no primary until it comes back, or until ` +
        '`ashlar extent force-primary` names another replica, which loses what only this one held',
    )
  const single = held.filter(({ record, name }) => !onlyHere.includes(name) && othersInSync(record, node.store) === 1)
  if (single.length > 0)
    costs.push(
      `${some(single.map(({ name }) => name))} ${single.length === 1 ? 'is' : 'are'} left with one replica in sync until others are copied`,
    )
  const moving = held.filter(({ name }) => !onlyHere.includes(name))
  const homeless = moving.filter(({ record }) => !hasSpare(map, record))
  if (moving.length > homeless.length)
    costs.push(
      `${counted(moving.length - homeless.length, 'replica is', 'replicas are')} copied to other nodes in full`,
    )
  if (homeless.length > 0)
    costs.push(`${counted(homeless.length, 'replica has', 'replicas have')} no node to go to, until another node joins`)
  if (map.voters.some(({ store }) => store === node.store))
    costs.push('it is a voter of control: replace it there too, see `ashlar cluster membership`')
  if (costs.length === 0) costs.push('it holds nothing: it leaves the list of nodes')
  return costs
}

function othersInSync(record: ExtentRecord, store: StoreId): number {
  return record.inSync.filter((member) => member !== store).length
}

function hasSpare(map: MapCopy, record: ExtentRecord): boolean {
  return nodesThatCount(map).some(
    ({ store, state, trust, address }) =>
      state === 'up' && trust === 'trusted' && address !== '' && !record.assigned.includes(store),
  )
}

function some(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  return `${names.slice(0, NAMED).join(', ')}${more}`
}
