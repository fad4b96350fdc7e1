import type { NodeRecord, NodeState } from '@ashlar/proto'

/**
 * Snapshots and commands of the log name the state `down` by its first name, `lost`: builds on both sides read them.
 */
export type StoredState = Exclude<NodeState, 'down'> | 'lost'
export type StoredNode = Omit<NodeRecord, 'state'> & { readonly state: StoredState }

export function storedState(state: NodeState): StoredState {
  return state === 'down' ? 'lost' : state
}

export function stateOfStored(state: StoredState): NodeState {
  return state === 'lost' ? 'down' : state
}
