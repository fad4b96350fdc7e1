import { courseOf } from '../world/chance.ts'
import type { World } from '../world/world.ts'
import { isOneOfThree, WHOLE_MS } from './lost-tail.ts'
import type { Nemesis } from './nemesis.ts'

/**
 * A phase of wide seeds: bits are flipped in tables of one store while it is down, so that some versions are older ones or
 * gone, under heads and digests of now. It finds that when it reads them, ends, is suspect and has to be compared, once: each
 * start meets the same versions until then (A2.17-5). Meanwhile no older byte is read from it (A2.17-6), and whatever
 * becomes of it, everything acknowledged is on two other stores.
 */
export function lostVersions(world: World, nemesis: Nemesis): void {
  const { checkers, options, nodes, clock } = world
  if (options.shippedStore === true || options.minInSync < 2) return
  nemesis.mend()
  world.setCalm(true)
  if (!world.runUntil(() => world.healed() || checkers.broken, WHOLE_MS) || checkers.broken) return
  const chance = courseOf(options.seed, 'lost-versions')
  const node = chance.pick(nodes)
  const { disk } = node
  disk.rememberWrites()
  world.runUntil(() => checkers.broken, chance.between(50, 3000))
  if (checkers.broken || !node.up || !world.healed() || !isOneOfThree(world, node)) return disk.forgetWrites()
  const hit = chance.happens(0.5) ? nodes : [node]
  for (const each of hit) each.crash({ powerLoss: true })
  const lost = disk.loseVersions(chance)
  checkers.recorder.note(`${node.name} lost ${lost ? 'versions' : 'nothing'} under its digests`)
  for (const each of hit) clock.after(chance.skewed(10, 3000), () => each.start())
  const isBack = () => nodes.every(({ up }) => up) && world.healed()
  if (!world.runUntil(() => checkers.broken || isBack(), WHOLE_MS) || checkers.broken) return
  node.process?.scrub()
  const isWhole = () => isBack() && disk.lost.none && disk.suspicion.size === 0
  if (world.runUntil(() => checkers.broken || isWhole(), WHOLE_MS)) return
  checkers.violation('lost-versions', `${node.name} was not compared within ${WHOLE_MS} ms: ${world.describe()}`)
}
