import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TIMERS } from '@ashlar/proto'
import { explain } from '../../packages/node/src/admin/explain.ts'
import { nodesThatCount } from '../../packages/node/src/admin/health.ts'
import type { NodeView } from '../../packages/node/src/admin/node-view.ts'
import type { ExplanationResponse } from '../../packages/node/src/admin/schemas.ts'
import { Nemesis } from './faults/nemesis.ts'
import { optionsOf } from './options.ts'
import { becomeReady } from './phases.ts'
import { fetchAmong, readModelOf } from './world/read-model.ts'
import { World } from './world/world.ts'

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1)
const EVERY_MS = 1000
const FAULTS_MS = 15_000
/** A lease of before is over by then, whatever the clocks do. */
const LEASES_END_MS = 2 * TIMERS.leaseMs

const WELL = new Set(['healthy', 'up'])
const SAYS_NOTHING_OF_THE_PRESENT = new Set(['unavailable', 'unknown'])

type Kind = ExplanationResponse['kind']

/** What `explain` says of everything that the map of a node names. */
async function explainAll(view: NodeView, world: World): Promise<ExplanationResponse[]> {
  const fetchPeer = fetchAmong(world.nodes)
  const volumes = [...view.map.volumes.values()]
  const things: (readonly [Kind, string])[] = [
    ['cluster', ''],
    ...volumes.map(({ name }) => ['volume', name] as const),
    ...volumes.flatMap(({ id, name }) => view.map.extentsOf(id).map((_, at) => ['extent', `${name}/${at}`] as const)),
    ...nodesThatCount(view.map).map(({ store }) => ['node', store] as const),
  ]
  return await Promise.all(things.map(([kind, name]) => explain(view, kind, name, fetchPeer)))
}

function faultOf({ kind, name, state, problems, todo }: ExplanationResponse): string | undefined {
  const what = `${kind} ${name} is ${state}`
  if (!WELL.has(state) && problems.length === 0) return `${what} without a cause`
  if ((!WELL.has(state) || problems.length > 0) && todo.length === 0)
    return `${what} without an action: ${problems.join('; ')}`
  return undefined
}

/** Stops most voters at once, and none of them comes back. */
function stopMajority(world: World): void {
  const { voters } = world.membership.current
  const hosts = world.nodes.filter(({ disk }) => voters.includes(disk.store))
  for (const host of hosts.slice(0, Math.floor(voters.length / 2) + 1)) host.holdDown({ powerLoss: false })
}

interface Seen {
  readonly states: Map<string, number>
  explanations: number
  withoutMajority: number
}

async function sample(world: World, seed: number, lacking: boolean, seen: Seen): Promise<void> {
  for (const { name, process } of world.nodes) {
    if (process?.alive() !== true) continue
    const view = readModelOf(process)
    for (const said of await explainAll(view, world)) {
      seen.explanations++
      seen.states.set(`${said.kind} ${said.state}`, (seen.states.get(`${said.kind} ${said.state}`) ?? 0) + 1)
      const fault = faultOf(said)
      assert.equal(fault, undefined, `seed ${seed}, ${world.clock.now} ms: ${name} says that ${fault}`)
      if (!lacking || said.kind === 'node') continue
      seen.withoutMajority++
      assert.ok(
        SAYS_NOTHING_OF_THE_PRESENT.has(said.state),
        `seed ${seed}, ${world.clock.now} ms: ${name} says without a majority that ${said.kind} ${said.name} is ${said.state}`,
      )
    }
  }
}

describe('explain, at moments of random schedules', () => {
  it('has a cause and an action for all that is not healthy, and says nothing of the present without a majority', async (t) => {
    const seen: Seen = { states: new Map(), explanations: 0, withoutMajority: 0 }
    for (const seed of SEEDS) {
      const world = new World(optionsOf(seed))
      world.begin()
      assert.ok(becomeReady(world), `seed ${seed} begins`)
      world.setCalm(false)
      const nemesis = new Nemesis(world.victims())
      nemesis.start()
      const end = world.clock.now + FAULTS_MS
      while (world.clock.now < end) {
        world.runUntil(() => false, EVERY_MS)
        await sample(world, seed, false, seen)
      }
      nemesis.cease()
      stopMajority(world)
      world.runUntil(() => false, LEASES_END_MS)
      await sample(world, seed, true, seen)
    }
    for (const [state, times] of [...seen.states].sort()) t.diagnostic(`${state}: ${times}`)
    t.diagnostic(`${seen.explanations} explanations, ${seen.withoutMajority} without a majority`)
    // Each of these was reached, so each was judged above; how often depends on every schedule.
    for (const state of ['recovering', 'degraded', 'unavailable', 'unknown'])
      assert.ok((seen.states.get(`extent ${state}`) ?? 0) > 0, `extents were ${state}`)
    assert.ok((seen.states.get('node down') ?? 0) > 0, 'nodes were down')
    assert.ok(seen.withoutMajority > SEEDS.length, 'nodes without a majority reported')
  })
})
