import type { AdminCommand, Incarnation, StoreId } from '@ashlar/proto'
import type { Link } from '../../machine.ts'
import type { ProposalId } from '../log/index.ts'

/** Where an answer goes. */
export interface Asker {
  readonly link: Link
  readonly request: number
}

/** What is owed when a proposal is committed. The latest sending of one request is the one that is answered. */
export type Owed =
  | { readonly kind: 'register'; readonly store: StoreId; readonly incarnation: Incarnation; asker: Asker }
  | { readonly kind: 'expire'; readonly stores: readonly StoreId[] }
  | { readonly kind: 'promote' }
  | { readonly kind: 'raise-epochs' }
  | { readonly kind: 'raise-feature-level' }
  | { readonly kind: 'end-session' }
  | { readonly kind: 'change-sets'; readonly store: StoreId; asker: Asker }
  | { readonly kind: 'release'; readonly store: StoreId; readonly counter: number; asker: Asker }
  | { readonly kind: 'admin'; readonly command: AdminCommand; asker: Asker }

/** Proposals on their way through the log, with what is owed for each. */
export class PendingResponses {
  private readonly owed = new Map<ProposalId, Owed>()

  add(proposal: ProposalId, owed: Owed): void {
    this.owed.set(proposal, owed)
  }

  take(proposal: ProposalId | undefined): Owed | undefined {
    if (proposal === undefined) return undefined
    const owed = this.owed.get(proposal)
    this.owed.delete(proposal)
    return owed
  }

  has(kind: Owed['kind']): boolean {
    for (const owed of this.owed.values()) if (owed.kind === kind) return true
    return false
  }

  /** Stores whose expiry is proposed and not committed. */
  expiring(): Set<StoreId> {
    const expiring = new Set<StoreId>()
    for (const owed of this.owed.values())
      if (owed.kind === 'expire') for (const store of owed.stores) expiring.add(store)
    return expiring
  }

  /** True when the same registration is on its way: `asker` gets its answer. */
  repeatsRegistration(store: StoreId, incarnation: Incarnation, asker: Asker): boolean {
    for (const owed of this.owed.values()) {
      if (owed.kind !== 'register' || owed.store !== store) continue
      if (owed.incarnation.counter !== incarnation.counter || owed.incarnation.bootId !== incarnation.bootId) continue
      owed.asker = asker
      return true
    }
    return false
  }

  /** True when this request of this store is on its way: `asker` gets its answer. */
  repeats(kind: 'change-sets' | 'release', store: StoreId, asker: Asker): boolean {
    for (const owed of this.owed.values()) {
      if (owed.kind !== kind || owed.store !== store || owed.asker.request !== asker.request) continue
      owed.asker = asker
      return true
    }
    return false
  }
}
