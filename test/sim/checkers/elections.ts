import type { Effect, LogEntry } from '@ashlar/node/core'
import type { StoreId } from '@ashlar/proto'
import type { NodeProcess } from '../world/node-host.ts'
import type { Report } from './report.ts'

/**
 * The control log over several voters (protocol A3-33): one leader in a term, one vote of a store in a term over all its
 * lives, nothing promised that is not on stable storage, and what was handed over as committed stays in the log of whoever
 * leads.
 */
export class Elections {
  private readonly report: Report
  private readonly leaders = new Map<number, StoreId>()
  private readonly votes = new Map<string, StoreId>()
  /** Entries that some voter handed over, in order. */
  private readonly committed: LogEntry[] = []

  constructor(report: Report) {
    this.report = report
  }

  /** A voter handed an entry over. */
  handedOver(entry: LogEntry): void {
    if (entry.index === this.committed.length + 1) this.committed.push(entry)
  }

  sending(node: NodeProcess, { message }: Extract<Effect, { type: 'send' }>): void {
    const { disk, host } = node
    switch (message.type) {
      case 'append-entries':
      case 'install-snapshot':
        return this.leads(node, message.term)
      case 'vote': {
        if (message.pre || !message.granted) return
        const { term, vote } = disk.hardState ?? {}
        if (term !== message.term || vote !== message.to) {
          this.broken('vote-durable', `${host} voted in term ${message.term}, on its disk are ${term} and ${vote}`)
        }
        return this.voted(disk.store, message.term, message.to)
      }
      case 'appended': {
        if (!message.accepted || message.match <= disk.lastLogIndex) return
        this.broken('log-durable', `${host} accepted up to ${message.match}, on its disk are ${disk.lastLogIndex}`)
      }
    }
  }

  private voted(store: StoreId, term: number, candidate: StoreId): void {
    const key = `${term}:${store}`
    const before = this.votes.get(key)
    if (before !== undefined && before !== candidate) {
      this.broken('one-vote', `${store} voted for ${before} and for ${candidate} in term ${term}`)
    }
    this.votes.set(key, candidate)
  }

  /** The first word of a leader in its term: it must hold what was committed before. */
  private leads(node: NodeProcess, term: number): void {
    const before = this.leaders.get(term)
    if (before === node.disk.store) return
    if (before !== undefined) this.broken('one-leader', `${before} and ${node.disk.store} lead in term ${term}`)
    this.leaders.set(term, node.disk.store)
    for (const entry of this.committed) {
      if (entry.term > term) return
      const held = node.disk.logEntry(entry.index)
      if (held === 'in the snapshot' || held?.term === entry.term) continue
      this.broken('leader-complete', `${node.host} leads in term ${term} without committed entry ${entry.index}`)
      return
    }
  }

  private broken(rule: string, text: string): void {
    this.report.violation(rule, text)
  }
}
