import { FEATURES, type Incarnation, type SetChange, type StoreId } from '@ashlar/proto'
import type { Command, Members } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, refused } from './command-result.ts'

/**
 * Feature levels (amendment 24): control uses a new feature only once every node has reported that it supports its
 * level. FEATURE_LEVEL lists what each level adds.
 */

/** First level at which a command may be proposed; every build knows the others. */
const COMMAND_LEVELS: { readonly [Name in Command['do']]?: number } = {
  'raise-epochs': FEATURES.raisedEpochs,
  'clear-suspicion': FEATURES.clearedStores,
  'note-ending': FEATURES.reportedEnds,
}

/** An older build would compute other sets from an entry that names complete stores. */
export function withoutComplete({ complete: _, ...change }: SetChange): SetChange {
  return change
}

/** Feature level that a build needs to apply this command. */
export function commandLevel(command: Command): number {
  return command.do === 'raise-feature-level' ? command.level : (COMMAND_LEVELS[command.do] ?? 0)
}

/** The refusal of a command that some node might not be able to apply; undefined if all can. */
export function tooEarly(state: MapState, command: Command): CommandResult | undefined {
  const level = commandLevel(command)
  if (command.do === 'raise-feature-level' || level <= state.featureLevel) return undefined
  return refused(
    'CONFLICT',
    `${command.do} needs feature level ${level}, and this cluster is at ${state.featureLevel}`,
    'upgrade every node; `ashlar cluster info` lists those that are missing',
  )
}

/** What a store reported to the leader. */
interface Heard {
  readonly counter: number
  readonly level: number | undefined
}

/** A store that keeps the level from rising. `level`: as it reported in this incarnation; undefined: not yet. */
export interface WaitedFor {
  readonly store: StoreId
  readonly level: number | undefined
}

/**
 * The level that every node has reported to this leader, and the stores that keep it below `wanted`. A node that is
 * down must return and report, or be declared removed, since it may return with an older build.
 */
export function knownToAll(
  state: MapState,
  { voters, learners }: Members,
  heard: (store: StoreId) => Heard | undefined,
  wanted: number,
): { readonly level: number; readonly waitsFor: readonly WaitedFor[] } {
  const stores = new Set([...state.nodes.keys(), ...[...voters, ...learners].map(({ store }) => store)])
  let level = stores.size === 0 ? 0 : wanted
  const waitsFor: WaitedFor[] = []
  for (const store of stores) {
    if (state.gone.has(store)) continue
    const reported = reportedLevel(state.nodes.get(store)?.incarnation, heard(store))
    level = Math.min(level, reported ?? 0)
    if ((reported ?? 0) < wanted) waitsFor.push({ store, level: reported })
  }
  return { level, waitsFor }
}

/** A report counts for its incarnation only: a store that restarted may have been downgraded. */
function reportedLevel(incarnation: Incarnation | undefined, heard: Heard | undefined): number | undefined {
  return incarnation === undefined || heard?.counter !== incarnation.counter ? undefined : heard.level
}

/** The refusal of a node that does not support the cluster's feature level. */
export function levelProblem(
  featureLevel: number,
  { name, level = 0 }: { readonly name: string; readonly level?: number },
): CommandResult | undefined {
  if (level >= featureLevel) return undefined
  return refused(
    'CONFLICT',
    `this cluster uses feature level ${featureLevel}, and node ${name} knows ${level}: upgrade node ${name}`,
    'start the version of the other nodes, or a newer one, over its data directory',
  )
}

export function applyRaiseFeatureLevel(
  state: MapState,
  { level }: Extract<Command, { do: 'raise-feature-level' }>,
): CommandResult {
  state.raiseFeatureLevel(level)
  return done()
}
