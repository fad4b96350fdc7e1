import type { AdminCommand, Incarnation, StoreId } from '@ashlar/proto'
import type { Link } from '../../machine.ts'
import type { ProposalId } from '../log/index.ts'

/** The link and request of a response. */
export interface Requester {
  readonly link: Link
  readonly request: number
}

/** The response due when a proposal is committed. Goes to the latest repetition of its request. */
export type Pending =
  | { readonly kind: 'register'; readonly store: StoreId; readonly incarnation: Incarnation; requester: Requester }
  | { readonly kind: 'expire'; readonly stores: readonly StoreId[] }
  | { readonly kind: 'promote' }
  | { readonly kind: 'raise-epochs' }
  | { readonly kind: 'clear-suspicion' }
  | { readonly kind: 'note-ending' }
  | { readonly kind: 'raise-feature-level' }
  | { readonly kind: 'end-session' }
  | { readonly kind: 'change-sets'; readonly store: StoreId; requester: Requester }
  | { readonly kind: 'release'; readonly store: StoreId; readonly counter: number; requester: Requester }
  | { readonly kind: 'admin'; readonly command: AdminCommand; requester: Requester }

/** Proposals without a requester, repeated until they have an effect: one of a kind is pending at a time. */
export type Repeated = 'promote' | 'raise-epochs' | 'clear-suspicion' | 'note-ending'

/** Proposals that are not committed, with the response due for each. */
export class PendingResponses {
  private readonly pending = new Map<ProposalId, Pending>()

  add(proposal: ProposalId, pending: Pending): void {
    this.pending.set(proposal, pending)
  }

  take(proposal: ProposalId | undefined): Pending | undefined {
    if (proposal === undefined) return undefined
    const pending = this.pending.get(proposal)
    this.pending.delete(proposal)
    return pending
  }

  has(kind: Pending['kind']): boolean {
    for (const pending of this.pending.values()) if (pending.kind === kind) return true
    return false
  }

  /** Stores whose expiry is proposed and not committed. */
  expiring(): Set<StoreId> {
    const expiring = new Set<StoreId>()
    for (const pending of this.pending.values())
      if (pending.kind === 'expire') for (const store of pending.stores) expiring.add(store)
    return expiring
  }

  /** True when the same registration is pending: `requester` gets the response. */
  repeatsRegistration(store: StoreId, incarnation: Incarnation, requester: Requester): boolean {
    for (const pending of this.pending.values()) {
      if (pending.kind !== 'register' || pending.store !== store) continue
      if (pending.incarnation.counter !== incarnation.counter || pending.incarnation.bootId !== incarnation.bootId)
        continue
      pending.requester = requester
      return true
    }
    return false
  }

  /** True when this request of this store is pending: `requester` gets the response. */
  repeats(kind: 'change-sets' | 'release', store: StoreId, requester: Requester): boolean {
    for (const pending of this.pending.values()) {
      if (pending.kind !== kind || pending.store !== store || pending.requester.request !== requester.request) continue
      pending.requester = requester
      return true
    }
    return false
  }
}
