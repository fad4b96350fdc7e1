import type { Checkers } from './checkers/checkers.ts'
import { replicaProblems } from './checkers/convergence.ts'
import type { Violation } from './checkers/report.ts'
import { Nemesis } from './faults/nemesis.ts'
import { type FaultName, optionsOf, type SimulationOptions } from './options.ts'
import { World } from './world/world.ts'

/** What a run found. */
export interface Outcome {
  readonly seed: number
  readonly options: SimulationOptions
  readonly violations: readonly Violation[]
  /** Of every input of every machine, in order: equal for two runs of one seed over one source. */
  readonly hash: string
  readonly virtualMs: number
  readonly inputs: number
  /** Calls of clients that ended well, and writes that were acknowledged by a primary. */
  readonly calls: number
  readonly acknowledgements: number
  /** Takeovers that came as far as to serve. */
  readonly activations: number
  readonly faults: ReadonlyMap<FaultName, number>
}

export interface RunOptions {
  /** Called with one line for every event. */
  readonly trace?: (line: string) => void
}

const SETUP_MS = 30_000
/** A replica that was taken out often waits up to a minute before it is let in again. */
const HEALING_MS = 150_000
const SETTLING_MS = 90_000

/**
 * One seed from beginning to end. First a cluster is founded and a volume made, undisturbed. Then everything may break and
 * only safety is checked. Then all is mended, and the cluster has to come to rest: every replica in sync and equal, every
 * call ended, and new ones succeed.
 */
export function simulate(seed: number, run: RunOptions = {}): Outcome {
  return simulateWith(optionsOf(seed), run)
}

export function simulateWith(options: SimulationOptions, run: RunOptions = {}): Outcome {
  const world = new World(options, run.trace)
  const { checkers } = world
  const nemesis = new Nemesis(world.victims())
  runPhases(world, nemesis, checkers)
  checkers.end(world.history)
  return {
    seed: options.seed,
    options,
    violations: checkers.report.violations,
    hash: checkers.recorder.hash(),
    virtualMs: Math.round(world.clock.now),
    inputs: checkers.recorder.inputs,
    calls: world.history.done,
    acknowledgements: checkers.durability.acknowledgements,
    activations: checkers.serving.activations,
    faults: nemesis.done,
  }
}

function runPhases(world: World, nemesis: Nemesis, checkers: Checkers): void {
  const liveness = (text: string): void => checkers.report.violation('liveness', text)
  world.begin()
  if (!world.runUntil(() => world.ready(), SETUP_MS))
    return liveness(`no open volume after ${SETUP_MS} ms without faults`)
  world.setCalm(false)
  nemesis.start()
  world.runUntil(() => checkers.broken, world.options.faultsMs)
  nemesis.stop()
  world.setCalm(true)
  if (checkers.broken) return
  if (!world.runUntil(() => world.healed() || checkers.broken, HEALING_MS)) {
    return liveness(`not healed ${HEALING_MS} ms after the last fault: ${world.describe()}`)
  }
  for (const driver of world.drivers) driver.stop()
  if (!world.runUntil(() => world.atRest() || checkers.broken, SETTLING_MS)) {
    return liveness(`not at rest ${SETTLING_MS} ms after the last call: ${world.describe()}`)
  }
  if (checkers.broken) return
  prove(world, liveness)
  const problems = (): string[] => replicaProblems(checkers.truth.map.extents.values(), world.disks)
  world.runUntil(() => problems().length === 0, SETTLING_MS)
  for (const problem of problems()) checkers.report.violation('convergence', problem)
}

/** One more write and read of every client that has the volume open. */
function prove(world: World, liveness: (text: string) => void): void {
  const drivers = world.drivers.filter((driver) => driver.hasVolume)
  let left = drivers.length
  for (const driver of drivers) {
    driver.prove((problem) => {
      left--
      if (problem !== undefined) liveness(`after the last fault a client still failed: ${problem}`)
    })
  }
  const ended = world.runUntil(() => left === 0 && world.atRest(), SETTLING_MS)
  if (!ended) liveness(`${left} clients had no answer ${SETTLING_MS} ms after the last fault`)
}
