import type { Millis, StoreId } from '@ashlar/proto'

/** How this node stands with control, for people. */
export interface AgentView {
  readonly state: 'no-cluster' | 'no-leader' | 'registering' | 'registered'
  /** What it waits for, as one sentence; empty when it waits for nothing. */
  readonly waitsFor: string
  /** The voter that it talks to, and its address. */
  readonly leaderStore: StoreId | undefined
  readonly leader: string | undefined
  readonly leaseRemainingMs: Millis
  readonly revision: number
}
