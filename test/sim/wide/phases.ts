import { lostTail } from '../faults/lost-tail.ts'
import { lostVersions } from '../faults/lost-versions.ts'
import type { Nemesis } from '../faults/nemesis.ts'
import { owedCancel } from '../faults/owed-cancel.ts'
import type { World } from '../world/world.ts'
import { oneThingStaysBroken } from './lasting-fault.ts'
import type { WidePhaseName } from './shares.ts'

/**
 * A phase of a wide seed before the mending. The nemesis does nothing more by itself then, but what it broke is not mended.
 * A phase that finds something wrong says so with `world.checkers.violation`.
 */
export type Phase = (world: World, nemesis: Nemesis) => void

const PHASES: Readonly<Record<WidePhaseName, Phase>> = {
  'lasting-fault': oneThingStaysBroken,
  'lost-tail': lostTail,
  'lost-versions': lostVersions,
  'owed-cancel': owedCancel,
}

/** The phases that the seed drew, until one finds something. */
export function runPhases(world: World, nemesis: Nemesis): void {
  for (const name of world.options.phases ?? []) {
    const run: Phase = PHASES[name]
    if (!world.checkers.broken) run(world, nemesis)
  }
}
