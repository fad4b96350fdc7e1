import { type Command, stateOfStored } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'

/**
 * Part of a map that was rebuilt from extent heads (A2.18-3). Refused once a store has registered: from then on only
 * control changes the map.
 */
export function* applyRecover(state: MapState, command: Extract<Command, { do: 'recover' }>): Steps<CommandResult> {
  if ([...state.nodes.values()].some((node) => node.state !== 'down'))
    return refused('CONFLICT', 'a map is rebuilt before any store registers, and one has')
  state.beginGeneration(command.generation)
  state.raiseFeatureLevel(command.featureLevel ?? 0)
  if (command.formerVoters !== undefined) state.formerVoters = command.formerVoters
  state.lastVolume = Math.max(state.lastVolume, command.lastVolume)
  for (const node of command.nodes) state.putNode({ ...node, state: stateOfStored(node.state) })
  for (const volume of command.volumes) state.putVolume(volume)
  for (const extent of command.extents) {
    yield
    const { id, epoch, primary } = state.putExtent(extent)
    if (command.lossy.includes(id)) state.putForced({ extent: id, epoch, store: primary.store, acknowledged: false })
  }
  return done()
}
