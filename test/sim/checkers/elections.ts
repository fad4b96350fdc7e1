import type { Effect, LogEntry, NodeStart } from '@ashlar/node/core'
import type { StoreId } from '@ashlar/proto'
import { membersOf } from '../world/log-image.ts'
import type { NodeProcess } from '../world/node-host.ts'
import type { Report } from './report.ts'

type PersistRequest = Extract<Effect, { type: 'raft-persist' }>['request']

/**
 * The control log over several voters (protocol A3-33): one leader in a term, one vote of a store in a term over all
 * its incarnations, nothing promised that is not on stable storage, and what was applied as committed stays in the log
 * of every leader.
 */
export class Elections {
  private readonly report: Report
  private readonly leaders = new Map<number, StoreId>()
  private readonly votes = new Map<string, StoreId>()
  /** Entries that some voter handed over, in order. */
  private readonly committed: LogEntry[] = []
  /** Stores that some entry made a voter, committed or not. */
  private readonly voters = new Set<StoreId>()
  /** Entries with members, and beginnings of terms, that stores were asked to write, by store. */
  private readonly changes = new Map<StoreId, LogEntry[]>()

  constructor(report: Report) {
    this.report = report
  }

  /** A voter handed an entry over. */
  handedOver(entry: LogEntry): void {
    if (entry.index !== this.committed.length + 1) return
    this.committed.push(entry)
    this.learnVoters(entry)
  }

  sending(node: NodeProcess, { message }: Extract<Effect, { type: 'send' }>): void {
    const { disk, host } = node
    switch (message.type) {
      case 'append-entries':
      case 'install-snapshot':
        return this.leads(node, message.term)
      case 'vote': {
        if (message.pre || !message.granted) return
        const { term, vote } = disk.log.hardState ?? {}
        if (term !== message.term || vote !== message.to) {
          this.broken('vote-durable', `${host} voted in term ${message.term}, on its disk are ${term} and ${vote}`)
        }
        return this.voted(disk.store, message.term, message.to)
      }
      case 'appended': {
        if (!message.accepted || message.match <= disk.log.lastIndex) return
        this.broken('log-durable', `${host} accepted up to ${message.match}, on its disk are ${disk.log.lastIndex}`)
      }
    }
  }

  /**
   * A leader changes members only when the change before is committed, and an entry of its own term: else two
   * majorities may not meet (raft pitfalls 19 and 20).
   */
  writing(node: NodeProcess, append: NonNullable<PersistRequest['append']>): void {
    const { store } = node.disk
    const known = (this.changes.get(store) ?? []).filter(({ index }) => index < append.from && !append.restart)
    for (const entry of append.entries) {
      const changes = membersOf(entry) !== undefined
      if (!changes && entry.command.do !== 'begin-term') continue
      if (changes && entry.command.do === 'set-members') this.checkChange(node, entry, known)
      known.push(entry)
      this.learnVoters(entry)
    }
    this.changes.set(store, known)
  }

  private learnVoters(entry: LogEntry): void {
    for (const { store } of membersOf(entry)?.voters ?? []) this.voters.add(store)
  }

  private checkChange(node: NodeProcess, entry: LogEntry, known: readonly LogEntry[]): void {
    const view = node.raftView()
    if (view?.role !== 'leader' || view.term !== entry.term) return
    const pending = known.filter((other) => other.index > view.commit && membersOf(other) !== undefined)
    const begun = known.some(({ term, command, index }) => {
      return command.do === 'begin-term' && term === entry.term && index <= view.commit
    })
    if (pending.length > 0) this.broken('one-change', `${node.host} changes members while another change is on its way`)
    if (!begun) this.broken('one-change', `${node.host} changes members before its term has begun`)
  }

  /** A snapshot stands for entries that are committed, for no others, and for the members that they made. */
  snapshot(node: NodeProcess, { index, term, members }: NonNullable<NodeStart['snapshot']>): void {
    const changed = this.committed.findLast((entry) => entry.index <= index && membersOf(entry) !== undefined)
    if (changed !== undefined && JSON.stringify(membersOf(changed)) !== JSON.stringify(members))
      this.broken('snapshot-members', `${node.host} has a snapshot of entry ${index} with other members than the log`)
    if (this.committed[index - 1]?.term === term) return
    this.broken('snapshot-committed', `${node.host} has a snapshot of entry ${index} of term ${term}, not committed`)
  }

  private voted(store: StoreId, term: number, candidate: StoreId): void {
    const key = `${term}:${store}`
    const before = this.votes.get(key)
    if (before !== undefined && before !== candidate) {
      this.broken('one-vote', `${store} voted for ${before} and for ${candidate} in term ${term}`)
    }
    this.votes.set(key, candidate)
  }

  /** The first message of a leader in its term: it must hold what was committed before. */
  private leads(node: NodeProcess, term: number): void {
    const before = this.leaders.get(term)
    if (before === node.disk.store) return
    if (before !== undefined) this.broken('one-leader', `${before} and ${node.disk.store} lead in term ${term}`)
    this.leaders.set(term, node.disk.store)
    const own = node.disk.log.members?.voters.some(({ store }) => store === node.disk.store)
    if (own !== true && !this.voters.has(node.disk.store))
      this.broken('voter-leads', `${node.host} leads in term ${term}, and no entry ever made it a voter`)
    for (const entry of this.committed) {
      if (entry.term > term) return
      const held = node.disk.log.entry(entry.index)
      if (held === 'in the snapshot' || held?.term === entry.term) continue
      this.broken('leader-complete', `${node.host} leads in term ${term} without committed entry ${entry.index}`)
      return
    }
  }

  private broken(rule: string, text: string): void {
    this.report.violation(rule, text)
  }
}
