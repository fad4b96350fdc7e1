import type { Chance } from '../../sim/world/chance.ts'
import { GATEWAY, type NetCluster } from './net-cluster.ts'
import type { Conditions, Rule, Wire } from './wire.ts'

/** Where the workload runs. */
export const WORKLOAD = 'work'

export interface FaultWorld {
  readonly cluster: NetCluster
  readonly wire: Wire
  readonly chance: Chance
}

/** A fault that was drawn and is not there yet. */
export interface Fault {
  /** What is done to which nodes, as text. */
  readonly text: string
  /** Resolves, when the fault is there, to what takes it away again. */
  apply(): Promise<() => Promise<void>>
}

export interface FaultKind {
  readonly name: string
  draw(world: FaultWorld): Fault
}

const CUT: Partial<Conditions> = { loss: 1 }

/** Faults of links. One is there at a time, beside one of processes. */
export const LINK_FAULTS: readonly FaultKind[] = [
  {
    name: 'bad network',
    draw(world) {
      const { chance } = world
      const conditions = {
        loss: chance.between(0.01, 0.08),
        delayMs: chance.between(0, 30),
        jitterMs: chance.between(1, 20),
        duplicate: chance.between(0.005, 0.03),
        reorder: chance.between(0.01, 0.1),
      }
      return links(world, `loss, delay, duplicates and reordering everywhere`, world.wire.everywhere(conditions))
    },
  },
  {
    name: 'slow node',
    draw(world) {
      const { chance, cluster } = world
      const node = chance.pick(cluster.nodes)
      const delayMs = chance.skewed(50, 800)
      const rules = bothWays(world, [node], { delayMs, jitterMs: delayMs / 2 })
      return links(world, `${node} is ${Math.round(delayMs)} ms further away from all others`, rules)
    },
  },
  {
    name: 'one-way cut',
    draw(world) {
      const [from, to] = twoOf(world.chance, world.cluster.nodes)
      return links(world, `${from} is not heard by ${to}`, [{ from, to, conditions: CUT }])
    },
  },
  {
    name: 'deaf or mute node',
    draw(world) {
      const node = world.chance.pick(world.cluster.nodes)
      const mute = world.chance.happens(0.5)
      const rules = others(world, [node]).map((other) =>
        mute ? { from: node, to: other, conditions: CUT } : { from: other, to: node, conditions: CUT },
      )
      return links(world, mute ? `${node} is not heard by any node` : `${node} hears no node`, rules)
    },
  },
  {
    name: 'cut-off node',
    draw(world) {
      const node = world.chance.pick(world.cluster.nodes)
      return links(world, `${node} is cut off`, bothWays(world, [node], CUT))
    },
  },
  {
    name: 'partition',
    draw(world) {
      const { chance, cluster } = world
      const minority = twoOf(chance, cluster.nodes).slice(0, (cluster.nodes.length - 1) / 2)
      const rest = cluster.nodes.filter((node) => !minority.includes(node))
      return links(world, `${minority.join(', ')} and ${rest.join(', ')} are cut apart`, between(minority, rest, CUT))
    },
  },
  {
    name: 'client cut off from a node',
    draw(world) {
      const { chance, cluster } = world
      const client = chance.pick([GATEWAY, WORKLOAD])
      const node = chance.pick(cluster.nodes)
      return links(world, `${client} and ${node} are cut apart`, between([client], [node], CUT))
    },
  },
]

/** Faults of processes. */
export const PROCESS_FAULTS: readonly FaultKind[] = [
  { name: 'kill', draw: (world) => killed(world, [world.chance.pick(world.cluster.nodes)]) },
  { name: 'pause', draw: (world) => paused(world, [world.chance.pick(world.cluster.nodes)]) },
  { name: 'kill two', draw: (world) => killed(world, twoOf(world.chance, world.cluster.nodes)) },
  { name: 'kill all', draw: (world) => killed(world, world.cluster.nodes) },
  { name: 'pause two', draw: (world) => paused(world, twoOf(world.chance, world.cluster.nodes)) },
  { name: 'kill gateway', draw: (world) => killed(world, [GATEWAY]) },
  { name: 'pause gateway', draw: (world) => paused(world, [GATEWAY]) },
]

function links({ wire }: FaultWorld, text: string, rules: readonly Rule[]): Fault {
  return { text, apply: () => wire.add(rules) }
}

function killed({ cluster }: FaultWorld, places: readonly string[]): Fault {
  return {
    text: `${places.join(', ')} killed`,
    async apply() {
      await Promise.all(places.map((place) => cluster.kill(place)))
      return async () => {
        for (const place of places) cluster.startProcess(place)
      }
    },
  }
}

function paused({ cluster }: FaultWorld, places: readonly string[]): Fault {
  return {
    text: `${places.join(', ')} stopped`,
    async apply() {
      for (const place of places) cluster.signal(place, 'SIGSTOP')
      return async () => {
        for (const place of places) cluster.signal(place, 'SIGCONT')
      }
    },
  }
}

function bothWays(world: FaultWorld, places: readonly string[], conditions: Partial<Conditions>): Rule[] {
  return between(places, others(world, places), conditions)
}

function between(some: readonly string[], rest: readonly string[], conditions: Partial<Conditions>): Rule[] {
  return some.flatMap((one) =>
    rest.flatMap((other) => [
      { from: one, to: other, conditions },
      { from: other, to: one, conditions },
    ]),
  )
}

function others({ cluster }: FaultWorld, places: readonly string[]): string[] {
  return [...cluster.nodes, GATEWAY, WORKLOAD].filter((place) => !places.includes(place))
}

function twoOf(chance: Chance, places: readonly string[]): [string, string] {
  const first = chance.pick(places)
  return [first, chance.pick(places.filter((place) => place !== first))]
}
