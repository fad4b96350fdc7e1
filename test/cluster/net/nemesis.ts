import { setTimeout as delay } from 'node:timers/promises'
import type { Chance } from '../../sim/world/chance.ts'
import { type Fault, type FaultKind, type FaultWorld, LINK_FAULTS, PROCESS_FAULTS } from './faults.ts'

export interface NemesisOptions {
  /** How long faults come and go. */
  readonly durationMs: number
  /** A fault stays at most so long; most are far shorter. */
  readonly longestFaultMs: number
}

const SHORTEST_FAULT_MS = 300
/**
 * Long enough, now and then, for leases and elections to settle: a cluster that never serves has nothing to get wrong.
 */
const SHORTEST_GAP_MS = 500
const LONGEST_GAP_MS = 7000

/**
 * Lets faults come and go until the time is over or the signal says so: one of links and one of processes at a time,
 * each kind once before any comes again. Resolves when everything is healed.
 *
 * @param came called with each fault as it comes: its kind, and a sentence
 */
export async function haunt(
  world: Omit<FaultWorld, 'chance'>,
  chance: Chance,
  options: NemesisOptions,
  signal: AbortSignal,
  came: (kind: string, text: string) => void,
): Promise<void> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(options.durationMs)])
  const lanes = [LINK_FAULTS, PROCESS_FAULTS].map(async (kinds) => {
    for (const { kind, fault, gapMs, holdMs } of schedule(kinds, { ...world, chance: chance.fork() }, options)) {
      await sleep(gapMs, over)
      if (over.aborted) return
      came(kind, `${fault.text}, for ${(holdMs / 1000).toFixed(1)} s`)
      const heal = await fault.apply()
      await sleep(holdMs, over)
      await heal()
    }
  })
  await Promise.all(lanes)
}

interface Planned {
  readonly kind: string
  readonly fault: Fault
  readonly gapMs: number
  readonly holdMs: number
}

/** The endless schedule of one lane. It depends on the seed only, never on what the cluster did. */
function* schedule(kinds: readonly FaultKind[], world: FaultWorld, options: NemesisOptions): Generator<Planned> {
  const { chance } = world
  for (;;) {
    const bag = [...kinds]
    while (bag.length > 0) {
      const kind = chance.pick(bag)
      bag.splice(bag.indexOf(kind), 1)
      yield {
        kind: kind.name,
        fault: kind.draw(world),
        gapMs: chance.between(SHORTEST_GAP_MS, LONGEST_GAP_MS),
        holdMs: chance.skewed(SHORTEST_FAULT_MS, options.longestFaultMs),
      }
    }
  }
}

/** Ends early, without an error, when the signal says so. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
