import { type Ending, FEATURES, type NodeRecord } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done } from './command-result.ts'

/** Why a node ended, kept for operators: it changes nothing else (A2.23-3). */

type NoteEnding = Extract<Command, { do: 'note-ending' }>

/** The entry for a report that the map lacks. */
export function dueNote(state: MapState, reports: Iterable<Ending>): NoteEnding | undefined {
  if (state.featureLevel < FEATURES.reportedEnds) return undefined
  for (const { store, counter, kind, reason, at } of reports)
    if (isNews(state.nodes.get(store), counter)) return { do: 'note-ending', store, counter, kind, reason, at }
  return undefined
}

/** False for a late report: the store registered a later incarnation, or this one reported already. */
function isNews(node: NodeRecord | undefined, counter: number): boolean {
  return node !== undefined && counter >= node.incarnation.counter && counter > (node.ended?.counter ?? 0)
}

export function applyNoteEnding(state: MapState, { store, counter, kind, reason, at }: NoteEnding): CommandResult {
  const node = state.nodes.get(store)
  if (node !== undefined && isNews(node, counter)) state.putNode({ ...node, ended: { counter, kind, reason, at } })
  return done()
}
