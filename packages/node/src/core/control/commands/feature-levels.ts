import { FEATURES, type Incarnation, type SetChange, type StoreId } from '@ashlar/proto'
import type { Command, Members } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, refused } from './command-result.ts'

/**
 * Feature levels (amendment 24): what older builds would not understand is used only once every node told that it knows it.
 * The rules of control; what a level brings stands at FEATURE_LEVEL.
 */

/** First level at which a command may be proposed. A command that is not named here every build knows. */
const COMMAND_LEVELS: { readonly [Name in Command['do']]?: number } = {
  'raise-epochs': FEATURES.raisedEpochs,
  'clear-suspicion': FEATURES.clearedStores,
}

/** An older build would make other sets of an entry that names stores which hold everything. */
export function withoutComplete({ complete: _, ...change }: SetChange): SetChange {
  return change
}

/** Feature level that a build must know to apply this command. */
export function commandLevel(command: Command): number {
  return command.do === 'raise-feature-level' ? command.level : (COMMAND_LEVELS[command.do] ?? 0)
}

/** Why this command may not be proposed yet: some node would not know how to apply it. Undefined: every node does. */
export function tooEarly(state: MapState, command: Command): CommandResult | undefined {
  const level = commandLevel(command)
  if (command.do === 'raise-feature-level' || level <= state.featureLevel) return undefined
  return refused(
    'CONFLICT',
    `${command.do} needs feature level ${level}, and this cluster is at ${state.featureLevel}`,
    'upgrade every node, and see `ashlar cluster info` for who is waited for',
  )
}

/** What the leader heard of a store. */
interface Heard {
  readonly counter: number
  readonly level: number | undefined
}

/** A store that keeps the level from rising. `level`: what it told; undefined: it was not heard in this life. */
export interface WaitedFor {
  readonly store: StoreId
  readonly level: number | undefined
}

/**
 * The level that every node knows, as far as it told this leader, and who keeps it below `wanted`. A node that is down has to
 * come back and tell, or be declared lost: nobody knows with which build it comes.
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
    const told = toldInThisLife(state.nodes.get(store)?.incarnation, heard(store))
    level = Math.min(level, told ?? 0)
    if ((told ?? 0) < wanted) waitsFor.push({ store, level: told })
  }
  return { level, waitsFor }
}

/** A store that started since then may have been downgraded. */
function toldInThisLife(life: Incarnation | undefined, heard: Heard | undefined): number | undefined {
  return life === undefined || heard?.counter !== life.counter ? undefined : heard.level
}

/** Why a node that knows this level cannot be part of a cluster of that one, with what to do. */
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
