import { type ExtentId, type ExtentRecord, extentIndexOf, volumeOf } from '@ashlar/proto'
import { BLOCK_BYTES } from '../options.ts'
import { becomeReady } from '../phases.ts'
import { controlOutlives } from '../wide/lasting-faults.ts'
import { type ClientDriver, VOLUME_NAME } from '../workload/client-driver.ts'
import { type Chance, courseOf } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { World } from '../world/world.ts'
import type { Nemesis } from './nemesis.ts'

/** How long each thing may take that is waited for. Where it does not come, others look for the reason. */
const WAIT_MS = 60_000

/**
 * A phase of wide seeds: a CANCEL of a client is pending and not answered, since so many replicas are down, most often
 * the primary among them, that nothing commits. The write that it abandoned waits in a connection that it closed too.
 * It writes the same block again, the replicas come back, and just when that write is acknowledged the first one
 * arrives. It must not take effect any more (A3-25).
 */
export function owedCancel(world: World, nemesis: Nemesis): void {
  const { checkers, options } = world
  if (options.minInSync < 2) return
  nemesis.mend()
  world.setCalm(true)
  if (!becomeReady(world)) return
  // Else the block may be in the hands of a call that waits, behind which nothing is sent.
  world.stopClients()
  if (!world.runUntil(() => world.atRest() || checkers.broken, WAIT_MS) || checkers.broken) return
  const chance = courseOf(options.seed, 'owed-cancel')
  const records = [...checkers.truth.map.extents.values()].filter((record) => hotBlockOf(world, record) !== undefined)
  if (records.length === 0) return
  const { id } = chance.pick(records)
  const down = takeDown(world, id, chance)
  const bringBack = (): void => {
    for (const node of down) node.letUp()
  }
  checkers.recorder.note(`${down.map(({ name }) => name).join(' and ')} are down, and a CANCEL is pending`)
  if (world.runUntil(() => checkers.broken || primaryOf(world, id) !== undefined, WAIT_MS)) {
    world.runUntil(() => checkers.broken, chance.between(500, 2000))
    writeTwice(world, id, chance, bringBack)
  }
  bringBack()
}

/** The first of two writes is abandoned and delayed; the second one overtakes it. */
function writeTwice(world: World, id: ExtentId, chance: Chance, bringBack: () => void): void {
  const { checkers, network, clock } = world
  const record = checkers.truth.record(id)
  const offset = record && hotBlockOf(world, record)
  const host = primaryOf(world, id)
  const writers = world.drivers.filter(({ mode, hasVolume }) => mode !== 'read-only' && hasVolume)
  if (offset === undefined || host === undefined || writers.length === 0) return
  const driver = chance.pick(writers)
  const held = network.holdBack(driver.process, host.name)
  if (held === undefined) return
  const range = { offset, length: BLOCK_BYTES }
  driver.writeAndGiveUp(range, chance.between(5, 300))
  clock.after(chance.between(5, 200), () => held.lose())
  clock.after(chance.between(1000, 4000), bringBack)
  let ended = false
  clock.after(chance.between(300, 600), () => insistTwice(driver, range, held.release, () => (ended = true)))
  world.runUntil(() => ended || checkers.broken, WAIT_MS)
  held.release()
}

/** A write, what follows at once, and a read. */
function insistTwice(
  driver: ClientDriver,
  range: { readonly offset: number; readonly length: number },
  between: () => void,
  then: () => void,
): void {
  driver.insist('write', range, () => {
    between()
    driver.insist('read', range, then)
  })
}

/**
 * All but so many replicas that nothing commits, of which one is left. The primary stays where control would be lost
 * with it.
 */
function takeDown(world: World, id: ExtentId, chance: Chance): NodeHost[] {
  const { checkers, options, nodes } = world
  const record = checkers.truth.record(id)
  const replicas = nodes.filter(({ disk }) => record?.inSync.includes(disk.store))
  const count = replicas.length - chance.integer(1, options.minInSync - 1)
  const first = replicas.filter(({ disk }) => disk.store === record?.primary.store)
  const others = replicas.filter((node) => !first.includes(node))
  while (others.length > count) others.splice(chance.integer(0, others.length - 1), 1)
  const withFirst = [...first, ...others].slice(0, count)
  const down = chance.happens(0.8) && controlOutlives(world, withFirst) ? withFirst : others
  for (const node of down) node.holdDown({ powerLoss: chance.happens(0.3) })
  return down
}

function primaryOf({ checkers, nodes }: World, id: ExtentId): NodeHost | undefined {
  const record = checkers.truth.record(id)
  return nodes.find(({ up, disk }) => up && disk.store === record?.primary.store)
}

/** Where clients write in this extent, in bytes of their volume. */
function hotBlockOf({ checkers, options }: World, { id }: ExtentRecord): number | undefined {
  const { hotOffset, hotBytes, extentSizeBytes } = options
  if (checkers.truth.volume(volumeOf(id))?.name !== VOLUME_NAME) return undefined
  const first = extentIndexOf(id) * extentSizeBytes
  const offset = Math.max(first, hotOffset)
  return offset < Math.min(first + extentSizeBytes, hotOffset + hotBytes) ? offset : undefined
}
