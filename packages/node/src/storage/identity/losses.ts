import { type ExtentId, LIMITS } from '@ashlar/proto'
import type { LeafTable } from '../../core/blocks/index.ts'
import type { StoreMetrics } from '../metrics.ts'
import type { LeafCache } from '../replicas/leaf-cache.ts'
import type { LocalReplica } from '../replicas/local-replica.ts'
import { RepairLimit, TOO_MANY_REPAIRS } from '../scrub/index.ts'
import type { Complete } from '../store.ts'
import type { IdentityKeeper } from './identity-keeper.ts'

/** What finding a loss needs of its store. */
export interface LossesOptions {
  readonly identity: IdentityKeeper
  readonly leaves: LeafCache
  readonly replicas: ReadonlyMap<ExtentId, LocalReplica>
  readonly metrics: StoreMetrics
  readonly maxRepairsPerHour: number
  readonly report: (input: Parameters<Complete>[0]) => void
}

/**
 * What a store found lost or damaged on its disk. A trusted incarnation ends for it (A2.6-4). One that was opened as suspect
 * goes on, since its next incarnation would know no more: the replica is compared again (A2.17-5).
 */
export class Losses {
  readonly #options: LossesOptions
  readonly #repairLimit: RepairLimit

  constructor(options: LossesOptions) {
    this.#options = options
    this.#repairLimit = new RepairLimit(options.maxRepairsPerHour, () => performance.now())
  }

  /** Blocks that were not read yet may be damaged too. */
  onRepaired(): void {
    const { metrics, identity, replicas, report } = this.#options
    metrics.damagedBlocksRepaired++
    if (!this.#repairLimit.noteRepair()) return
    const ends = identity.trustNow === 'trusted'
    identity.suspect(TOO_MANY_REPAIRS, replicas.keys(), () => {
      if (ends) report({ type: 'store-suspect', reason: TOO_MANY_REPAIRS })
    })
  }

  /** Versions on disk have another digest than the one kept for them: the store keeps the rest, and a comparison restores them. */
  onMismatch(replica: LocalReplica, table: LeafTable): void {
    this.#options.metrics.leafMismatches++
    replica.adoptLeaf(table)
    const first = table.leaf * LIMITS.leafBlocks
    const end = Math.min(replica.blocks, first + LIMITS.leafBlocks)
    // A suspect replica is read to be compared: whatever it has counts.
    if (!this.#options.identity.suspects(replica.extent))
      for (let block = first; block < end; block++) replica.unproven.add(block)
    this.#onLost(replica, mismatchReason(replica, table))
  }

  /**
   * A scrub found the same while the versions in memory may still be the right ones. `table`: what is on disk, unless bytes
   * without a version were found. A suspect store goes by its disk, so that its comparison restores what is lost there.
   */
  onScrubbed(replica: LocalReplica, found: LeafTable | { readonly bareBlock: number }): void {
    if ('bareBlock' in found)
      return this.#onLost(replica, `block ${found.bareBlock} of extent ${replica.extent} has bytes and no version`)
    if (this.#options.identity.trustNow === 'suspect') {
      replica.adoptLeaf(found)
      this.#options.leaves.adopt(replica, found)
    }
    this.#onLost(replica, mismatchReason(replica, found))
  }

  #onLost(replica: LocalReplica, reason: string): void {
    const { identity, report } = this.#options
    const { extent } = replica
    replica.losses++
    if (identity.trustNow === 'trusted') {
      // Reported once it is on stable storage, where the next opening finds it: the machines then reopen the store.
      return identity.suspect(reason, [extent], () => report({ type: 'store-suspect', reason, extent }))
    }
    if (!identity.suspects(extent)) identity.suspect(reason, [extent])
    report({ type: 'versions-lost', extent, reason })
  }
}

function mismatchReason({ extent }: LocalReplica, { leaf }: LeafTable): string {
  return `versions of leaf ${leaf} of extent ${extent} do not match their digest`
}
