import { type Ending, LIMITS, type StoreId } from '@ashlar/proto'
import type { LinkPeer } from './machine.ts'

/**
 * The last report of each store why it ended. Every node remembers them, for its own reports, and every voter for control: the
 * node that ends may be the leader, and the next one notes its report (A2.23-2).
 */
export class ReportedEnds {
  private readonly ends = new Map<StoreId, Ending>()

  /** The report of the store at the other end of the link over which it came. */
  add(report: Ending): void {
    if (report.counter < (this.ends.get(report.store)?.counter ?? 0)) return
    this.ends.delete(report.store)
    this.ends.set(report.store, report)
    for (const oldest of this.ends.keys()) {
      if (this.ends.size <= LIMITS.nodes) break
      this.ends.delete(oldest)
    }
  }

  /** A later incarnation runs: why the one before ended is over. */
  onLinkUp(peer: LinkPeer): void {
    if (peer.kind === 'node' && peer.counter > (this.ends.get(peer.store)?.counter ?? peer.counter))
      this.ends.delete(peer.store)
  }

  of(store: StoreId): Ending | undefined {
    return this.ends.get(store)
  }

  all(): Iterable<Ending> {
    return this.ends.values()
  }
}
