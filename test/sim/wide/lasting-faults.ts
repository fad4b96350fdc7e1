import type { ExtentRecord } from '@ashlar/proto'
import type { Chance } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { World } from '../world/world.ts'

/**
 * What has to be served of an extent. `unbroken`: nothing that serves it is concerned, so that not even a takeover is
 * granted.
 */
export interface Promises {
  readonly reads: boolean
  readonly writes: boolean
  readonly unbroken: boolean
}

/** One thing that is broken, as it was decided when everything was whole. */
export interface LastingFault {
  /** A clause for people: "the disk of n1 hangs". */
  readonly what: string
  promises(record: ExtentRecord): Promises
  end(): void
}

type Make = (world: World, chance: Chance) => LastingFault | undefined

/** Each breaks its thing, or says that in this world there is none to break that would leave something to ask for. */
export const LASTING_FAULTS: readonly Make[] = [
  (world, chance) => hang(world, chance, ['log']),
  (world, chance) => hang(world, chance, ['store']),
  (world, chance) => hang(world, chance, ['store', 'log', 'reads']),
  (world, chance) => hang(world, chance, ['reads']),
  stallLink,
  replicasDown,
  slowNode,
]

const NOTHING: Promises = { reads: false, writes: false, unbroken: false }
const ALL: Promises = { reads: true, writes: true, unbroken: false }
const SLOW_MS = 250
/** A lease needs two ways to a leader and back, of which one goes by its slowest voter. */
const LATE_MS = 80

/** A disk, or a part of it, answers nothing any more. Its process goes on. */
function hang(world: World, chance: Chance, kinds: readonly ('store' | 'log' | 'reads')[]): LastingFault | undefined {
  const node = chance.happens(0.6) ? important(world, chance) : chance.pick(world.nodes)
  // Where one or two vote a disk of theirs is all there is of control.
  if (kinds.includes('log') && !controlOutlives(world, [node])) return undefined
  const onlyLog = kinds.every((kind) => kind === 'log')
  const promises = onlyLog ? () => ALL : withoutNode(world, node)
  for (const kind of kinds) node.disk.hangs.add(kind)
  return {
    what: `the ${kinds.join(', ')} of ${node.name} hang`,
    promises,
    end: () => {
      node.disk.hangs.clear()
      node.crash({ powerLoss: false })
    },
  }
}

/** Nothing goes from one node to one other any more, nor back, and no connection is closed by the other side. */
function stallLink(world: World, chance: Chance): LastingFault | undefined {
  const first = important(world, chance)
  const others = world.nodes.filter((node) => node !== first)
  if (others.length === 0) return undefined
  const second = chance.pick(others)
  const withoutFirst = withoutNode(world, first)
  const withoutSecond = withoutNode(world, second)
  world.network.setCuts([{ side: new Set([first.name]), others: new Set([second.name]), oneWay: false }])
  return {
    what: `${first.name} and ${second.name} do not reach each other`,
    // Either of the two may have to go.
    promises: (record) => (withoutFirst(record).writes && withoutSecond(record).writes ? ALL : NOTHING),
    end: () => world.network.setCuts([]),
  }
}

/**
 * Of one extent all other replicas are down, or so many that fewer than minInSync are left, and control has its
 * majority.
 */
function replicasDown(world: World, chance: Chance): LastingFault | undefined {
  const { truth } = world.checkers
  const record = chance.pick([...truth.map.extents.values()])
  const { minInSync } = world.options
  const others = world.nodes.filter(
    ({ disk }) => disk.store !== record.primary.store && record.inSync.includes(disk.store),
  )
  const count = minInSync > 1 ? chance.integer(record.inSync.length - minInSync + 1, others.length) : others.length
  const voters = voterStores(world)
  const down = others.toSorted((a, b) => Number(isIn(voters, a)) - Number(isIn(voters, b))).slice(0, count)
  if (down.length === 0 || !controlOutlives(world, down)) return undefined
  const stores = new Set<string>(down.map(({ disk }) => disk.store))
  for (const node of down) node.holdDown({ powerLoss: chance.happens(0.3) })
  const led = new Map([...truth.map.extents.values()].map(({ id, primary }) => [id, primary.store]))
  const leads = [...world.nodes].some(({ process }) => process?.leads === true)
  return {
    what: `${down.map(({ name }) => name).join(' and ')} are down`,
    promises: ({ id, assigned }) => {
      const left = assigned.filter((store) => !stores.has(store)).length
      const stays = !stores.has(led.get(id) ?? '')
      const writes = left >= minInSync
      return { reads: stays || writes, writes, unbroken: stays && leads }
    },
    end: () => {
      for (const node of down) node.letUp()
    },
  }
}

/**
 * Whatever one node does takes a quarter of a second longer, and its messages come late. That holds nothing up for
 * good.
 */
function slowNode(world: World, chance: Chance): LastingFault {
  const node = important(world, chance)
  const { disk } = node
  disk.extraSyncMs = SLOW_MS
  disk.extraLogSyncMs = SLOW_MS
  disk.extraReadMs = SLOW_MS
  const others = [...world.nodes, ...world.clients].filter(({ name }) => name !== node.name)
  const lag = (ms: number): void => {
    for (const { name } of others) {
      world.network.setLag(node.name, name, ms)
      world.network.setLag(name, node.name, ms)
    }
  }
  lag(LATE_MS)
  return {
    what: `${node.name} is slow`,
    promises: () => ALL,
    end: () => {
      disk.extraSyncMs = 0
      disk.extraLogSyncMs = 0
      disk.extraReadMs = 0
      lag(0)
    },
  }
}

// ---- roles --------------------------------------------------------------------------------------------------------------

/** The leader of control, or the primary of an extent. */
function important(world: World, chance: Chance): NodeHost {
  const [record] = world.checkers.truth.map.extents.values()
  const leader = world.nodes.find(({ process }) => process?.leads === true)
  const primary = world.nodes.find(({ disk }) => disk.store === record?.primary.store)
  return (chance.happens(0.5) ? leader : primary) ?? chance.pick(world.nodes)
}

/** What is left when one node is as good as down: reads and writes where minInSync others are in sync. */
function withoutNode(world: World, node: NodeHost): (record: ExtentRecord) => Promises {
  const { disk } = node
  const { minInSync } = world.options
  const controlIsLeft = controlOutlives(world, [node])
  return ({ assigned }) => {
    if (!assigned.includes(disk.store)) return { reads: controlIsLeft, writes: controlIsLeft, unbroken: false }
    const isLeft = controlIsLeft && assigned.length - 1 >= minInSync
    return isLeft ? ALL : NOTHING
  }
}

/** A majority of the voters is left without these nodes. */
export function controlOutlives(world: World, down: readonly NodeHost[]): boolean {
  const voters = voterStores(world)
  return 2 * down.filter((node) => isIn(voters, node)).length < voters.length
}

function voterStores(world: World): readonly string[] {
  const { voters } = world.membership.current
  return world.options.raft && voters.length > 0 ? voters : [world.nodes[0]?.disk.store ?? '']
}

function isIn(stores: readonly string[], { disk }: NodeHost): boolean {
  return stores.includes(disk.store)
}
