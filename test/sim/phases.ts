import { replicaProblems } from './checkers/convergence.ts'
import type { World } from './world/world.ts'

const SETUP_MS = 30_000
/** A replica that was taken out often waits up to a minute before it is let in again. */
const HEALING_MS = 150_000
const SETTLING_MS = 90_000

/** Founds a cluster and makes a volume, without any fault. False, and a violation, when that takes too long. */
export function begin(world: World): boolean {
  world.begin()
  const ready = world.runUntil(() => world.ready(), SETUP_MS)
  if (!ready) liveness(world, `no open volume after ${SETUP_MS} ms without faults`)
  return ready
}

/**
 * Liveness: nothing breaks any more, so the cluster has to come to rest. Every replica is in sync and equal, every call
 * ended, and new calls succeed.
 */
export function comeToRest(world: World): void {
  const { checkers } = world
  if (!world.runUntil(() => world.healed() || checkers.broken, HEALING_MS)) {
    return liveness(world, `not healed ${HEALING_MS} ms after the last fault: ${world.describe()}`)
  }
  for (const driver of world.drivers) driver.stop()
  if (!world.runUntil(() => world.atRest() || checkers.broken, SETTLING_MS)) {
    return liveness(world, `not at rest ${SETTLING_MS} ms after the last call: ${world.describe()}`)
  }
  if (checkers.broken) return
  prove(world)
  const problems = (): string[] => replicaProblems(checkers.truth.map.extents.values(), world.disks)
  world.runUntil(() => problems().length === 0, SETTLING_MS)
  for (const problem of problems()) checkers.violation('convergence', problem)
}

/** One more write and read of every client that has the volume open. */
function prove(world: World): void {
  const drivers = world.drivers.filter((driver) => driver.hasVolume)
  let left = drivers.length
  for (const driver of drivers) {
    driver.prove((problem) => {
      left--
      if (problem !== undefined) liveness(world, `after the last fault a client still failed: ${problem}`)
    })
  }
  const ended = world.runUntil(() => left === 0 && world.atRest(), SETTLING_MS)
  if (!ended) liveness(world, `${left} clients had no answer ${SETTLING_MS} ms after the last fault`)
}

function liveness(world: World, text: string): void {
  world.checkers.violation('liveness', text)
}
