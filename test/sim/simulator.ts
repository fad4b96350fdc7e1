import type { Violation } from './checkers/report.ts'
import { Nemesis } from './faults/nemesis.ts'
import { withFullDisks } from './full-disks.ts'
import { type FaultName, optionsOf, type SimulationOptions } from './options.ts'
import { becomeReady, comeToRest } from './phases.ts'
import { wideOptionsOf } from './wide/options.ts'
import { runPhases } from './wide/phases.ts'
import { recoverCluster } from './wide/recovery.ts'
import { World } from './world/world.ts'

/**
 * The same in a turn of its own, from which also a seed with the shipped store may be started (world/virtual-turns.ts).
 */
export function simulateLater(seed: number, run: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(simulate(seed, run))
      } catch (error) {
        reject(error)
      }
    })
  })
}

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
  /** Requests that primaries refused for lack of space. */
  readonly refusedForSpace: number
  readonly faults: ReadonlyMap<FaultName, number>
}

export interface RunOptions {
  /** Called with one line for every event. */
  readonly trace?: (line: string) => void
  /** How many nodes vote on the control log: drawn by the seed when absent. */
  readonly voters?: number
  /** Disks have an end, which is met. */
  readonly fullDisks?: boolean
  /** A seed of the wide family: more sizes, more faults, more that is asked for (wide/options.ts, wide/shares.ts). */
  readonly wide?: boolean
}

/**
 * One seed from beginning to end. First a cluster is bootstrapped and a volume created, most often undisturbed. Then
 * everything may break and only safety is checked. Then all is mended, and the cluster has to come to rest.
 */
export function simulate(seed: number, run: RunOptions = {}): Outcome {
  const drawn = (run.wide === true ? wideOptionsOf : optionsOf)(seed, run.voters)
  const options = run.fullDisks === true ? withFullDisks(drawn) : drawn
  const world = new World(options, run.trace)
  const { checkers } = world
  let last = world
  const nemesis = new Nemesis(world.victims())
  world.begin()
  if (options.faultsFromStart || becomeReady(world)) {
    world.setCalm(false)
    nemesis.start()
    world.runUntil(() => checkers.broken, options.faultsMs)
    nemesis.cease()
    runPhases(world, nemesis)
    nemesis.mend()
    world.setCalm(true)
    last = (options.recovery === true && !checkers.broken && recoverCluster(world, run.trace)) || world
    if (!checkers.broken && becomeReady(last)) comeToRest(last)
  }
  last.checkers.end(world.history)
  const worlds = [...new Set([world, last])]
  const sum = (of: (it: World) => number): number => worlds.reduce((all, it) => all + of(it), 0)
  return {
    seed,
    options,
    violations: worlds.flatMap((it) => it.checkers.report.violations),
    hash: worlds.map((it) => it.checkers.recorder.hash()).join(''),
    virtualMs: Math.round(world.clock.now),
    inputs: sum((it) => it.checkers.recorder.inputs),
    calls: world.history.done,
    acknowledgements: sum((it) => it.checkers.durability.acknowledgements),
    activations: sum((it) => it.checkers.serving.activations),
    refusedForSpace: sum((it) => it.checkers.fullDisks.refusals),
    faults: nemesis.done,
  }
}
