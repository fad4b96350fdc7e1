import type { Millis, StoreId } from '@ashlar/proto'

/** State of this node's registration, for the API. */
export interface AgentView {
  readonly state: 'no-cluster' | 'no-leader' | 'registering' | 'registered'
  /** What it waits for, as one sentence; empty if nothing. */
  readonly waitsFor: string
  /** The voter that it sends requests to, and its address. */
  readonly leaderStore: StoreId | undefined
  readonly leader: string | undefined
  readonly leaseRemainingMs: Millis
  readonly revision: number
}

export function agentState(inCluster: boolean, hasLeader: boolean, registered: boolean): AgentView['state'] {
  if (!inCluster) return 'no-cluster'
  if (!hasLeader) return 'no-leader'
  return registered ? 'registered' : 'registering'
}

/** `refusal`: why control did not register this store; `absence`: why there is no leader to ask. */
export function waitsFor(state: AgentView['state'], refusal: string, absence: () => string): string {
  switch (state) {
    case 'no-cluster':
      return 'waits until it bootstraps or joins a cluster'
    case 'no-leader':
      return absence()
    case 'registering':
      return refusal === '' ? 'waits for control to register this store' : refusal
    case 'registered':
      return ''
  }
}
