import { courseOf } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { World } from '../world/world.ts'
import type { Nemesis } from './nemesis.ts'

/** How long the cluster may take to become whole, before and after. Where it does not, others look for the reason. */
export const WHOLE_MS = 60_000

/**
 * A phase of wide seeds: a store loses the last of what it had synced and has no sign of it, as with a disk that lies about
 * flushes or one that is put back to a copy which was made while it was in use. Everything else is whole, so that each
 * acknowledged write is on two other stores, and none may be lost: the store is compared like any other, and if it is named
 * primary it takes over what the other members have (A2.8-4, A2.8-5). The power fails for it alone or everywhere.
 */
export function lostTail(world: World, nemesis: Nemesis): void {
  const { checkers, options, nodes, clock } = world
  if (options.shippedStore === true || options.minInSync < 2) return
  nemesis.mend()
  world.setCalm(true)
  if (!world.runUntil(() => world.healed() || checkers.broken, WHOLE_MS) || checkers.broken) return
  const chance = courseOf(options.seed, 'lost-tail')
  const node = chance.pick(nodes)
  const { disk } = node
  disk.rememberWrites()
  world.runUntil(() => checkers.broken, chance.between(50, 3000))
  if (checkers.broken || !node.up || !world.healed() || !isOneOfThree(world, node)) return disk.forgetWrites()
  const hit = chance.happens(0.7) ? nodes : [node]
  for (const each of hit) each.crash({ powerLoss: true })
  const lost = disk.dropTail(chance)
  checkers.recorder.note(`${node.name} lost ${lost ? 'its last writes' : 'nothing'}, without a sign`)
  for (const each of hit) clock.after(chance.skewed(10, 3000), () => each.start())
  world.runUntil(() => checkers.broken || (nodes.every(({ up }) => up) && world.healed()), WHOLE_MS)
}

/** Two others have all that is acknowledged of each extent that it holds. */
export function isOneOfThree({ checkers }: World, { disk }: NodeHost): boolean {
  const records = [...checkers.truth.map.extents.values()].filter(({ inSync }) => inSync.includes(disk.store))
  return records.length > 0 && records.every(({ inSync }) => inSync.length >= 3)
}
