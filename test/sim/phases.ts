import { FEATURE_LEVEL } from '@ashlar/proto'
import { replicaProblems } from './checkers/convergence.ts'
import type { World } from './world/world.ts'

const SETUP_MS = 30_000
/** A replica that was removed often waits up to a minute before it is added again. */
export const HEALING_MS = 150_000
const SETTLING_MS = 90_000

/** Waits for a cluster with a volume, while nothing breaks. False, and a violation, when that takes too long. */
export function becomeReady(world: World): boolean {
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
  if (!world.runUntil(() => checkers.truth.map.featureLevel === FEATURE_LEVEL || checkers.broken, SETTLING_MS))
    return liveness(
      world,
      `the feature level is ${checkers.truth.map.featureLevel} ${SETTLING_MS} ms after the last upgrade`,
    )
  world.stopClients()
  if (!world.runUntil(() => world.atRest() || checkers.broken, SETTLING_MS)) {
    return liveness(world, `not at rest ${SETTLING_MS} ms after the last call: ${world.describe()}`)
  }
  if (checkers.broken) return
  prove(world)
  proveSessions(world)
  const problems = (): string[] => replicaProblems(checkers.truth.map.extents.values(), world.disks)
  world.runUntil(() => problems().length === 0 && checkers.bounds.isTidy(world.disks), SETTLING_MS)
  for (const problem of problems()) checkers.violation('convergence', problem)
  checkers.bounds.atRest(world.disks)
}

/** One more session of a client that comes and goes: it finds a place, and what others left behind goes. */
function proveSessions(world: World): void {
  let ended = world.sessions === undefined
  world.sessions?.prove(() => {
    ended = true
  })
  if (!world.runUntil(() => ended, SETTLING_MS))
    liveness(world, `a session more could not write within ${SETTLING_MS} ms`)
}

/**
 * One more write and read of every client, one client after the other: each may take the volume from the one before.
 */
function prove(world: World): void {
  for (const driver of world.drivers) {
    let ended = false
    driver.prove(() => {
      ended = true
    })
    if (!world.runUntil(() => ended, SETTLING_MS)) {
      return liveness(world, `a client could not write and read ${SETTLING_MS} ms after the last fault`)
    }
  }
  if (!world.runUntil(() => world.atRest(), SETTLING_MS)) liveness(world, `not at rest again: ${world.describe()}`)
}

function liveness(world: World, text: string): void {
  world.checkers.violation('liveness', text)
}
