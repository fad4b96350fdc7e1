import assert from 'node:assert/strict'
import type { RaftMessage, StoreId } from '@ashlar/proto'
import type { LogEntry } from '../../../src/core/control/index.ts'
import type { PersistRequest } from '../../../src/core/raft/index.ts'
import type { RaftDisk } from './disk.ts'

/**
 * The invariants of raft, seen from outside: over every incarnation, in what is sent, written and handed over. A
 * violation throws where it happens.
 */
export class RaftChecker {
  /** What is committed, by index; [0] is nothing. Only grows. */
  readonly committed: LogEntry[] = []
  readonly #leaders = new Map<number, StoreId>()
  readonly #votes = new Map<string, StoreId>()
  readonly #entries = new Map<string, { readonly content: string; readonly previousTerm: number }>()
  readonly #disks: () => readonly RaftDisk[]

  constructor(disks: () => readonly RaftDisk[]) {
    this.#disks = disks
  }

  /** Durable before said: votes and acknowledged entries. One vote a term, over all lives of a store. */
  onSend(message: RaftMessage, disk: RaftDisk): void {
    if (message.type === 'vote' && message.granted && !message.pre) {
      const key = `${message.from}/${message.term}`
      assert.equal(
        this.#votes.get(key) ?? message.to,
        message.to,
        `vote uniqueness: store ${message.from}, term ${message.term}`,
      )
      this.#votes.set(key, message.to)
      assert.deepEqual(
        disk.hardState,
        { term: message.term, vote: message.to },
        'a vote was sent before it was durable',
      )
    }
    if (message.type === 'ask-vote' && !message.pre)
      assert.deepEqual(
        disk.hardState,
        { term: message.term, vote: message.from },
        'asked for votes before its own was durable',
      )
    if (message.type === 'appended' && message.accepted)
      assert.ok(
        disk.lastIndex >= message.match,
        `entry ${message.match} acknowledged, and the disk ends at ${disk.lastIndex}`,
      )
  }

  /** Log matching, by induction: an entry of one index and term has one content and one predecessor. */
  onPersist(request: PersistRequest, before: RaftDisk): void {
    const { append } = request
    if (append === undefined) return
    const previous = append.from - 1
    const snapshot = request.snapshot ?? before.snapshot
    let previousTerm: number = snapshot?.index === previous ? snapshot.term : (before.entryAt(previous)?.term ?? 0)
    for (const entry of append.entries) {
      const key = `${entry.index}/${entry.term}`
      const content = JSON.stringify(entry.command)
      const known = this.#entries.get(key)
      if (known === undefined) this.#entries.set(key, { content, previousTerm })
      else assert.deepEqual({ content, previousTerm }, known, `log matching: entry ${key}`)
      previousTerm = entry.term
    }
    for (const entry of this.committed.slice(append.from)) {
      const kept: LogEntry | undefined = append.entries[entry.index - append.from]
      if (before.lastIndex >= entry.index && before.has(entry.index, entry.term))
        assert.equal(kept?.term, entry.term, `entry ${entry.index} is committed and was dropped`)
    }
  }

  /** Election safety and leader completeness. */
  onLeader(self: StoreId, term: number, log: RaftDisk): void {
    const other = this.#leaders.get(term)
    assert.ok(other === undefined || other === self, `election safety: ${other} and ${self} lead in term ${term}`)
    if (other === self) return
    this.#leaders.set(term, self)
    for (const entry of this.committed)
      if (entry !== undefined && entry.term < term)
        assert.ok(log.has(entry.index, entry.term), `leader completeness: term ${term} lacks entry ${entry.index}`)
  }

  /** State-machine safety; and what is committed is durable on a majority. */
  onCommitted(entry: LogEntry, voters: number): void {
    const known = this.committed[entry.index]
    if (known !== undefined) {
      assert.equal(known.term, entry.term, `state-machine safety: entry ${entry.index}`)
      return assert.deepEqual(entry.command, known.command, `state-machine safety: entry ${entry.index}`)
    }
    this.committed[entry.index] = entry
    const holders = this.#disks().filter((disk) => disk.hasOrLost(entry.index, entry.term)).length
    assert.ok(2 * holders > voters, `entry ${entry.index} is committed and durable on ${holders} of ${voters}`)
  }

  get lastCommitted(): number {
    return Math.max(0, this.committed.length - 1)
  }
}
