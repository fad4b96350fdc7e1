import type { SpaceReport, StoreId } from '@ashlar/proto'
import type { ControlView, PeerLinks } from '../interfaces.ts'
import type { Context } from '../machine.ts'
import type { When } from './completion.ts'
import type { CopyThrottle } from './copy-throttle.ts'
import type { ForgottenEpochs } from './forgotten-epochs.ts'
import type { StagingSpace } from './staged-pushes.ts'
import type { Verification } from './verification.ts'

/** What the roles of an extent share with the rest of the node. */
export interface Services {
  readonly self: StoreId
  /** Start counter of this incarnation. */
  readonly counter: number
  readonly control: ControlView
  readonly links: PeerLinks
  readonly when: When
  /** An acknowledgement of this replica is due at the end of the step. */
  acknowledgeAtEnd(replica: { endStep(ctx: Context): void }): void
  /** What a suspect store does before its copies count. */
  readonly verification: Verification
  /** Promises that are newer than the map. */
  readonly forgotten: ForgottenEpochs
  /** How fast this store copies to replicas that no write waits for. */
  readonly throttle: CopyThrottle
  /** Memory for blocks that replicas stage until a MARK. */
  readonly staging: StagingSpace
  /** Space of this store's disk, as last reported (amendment 17). */
  space(): SpaceReport
}
