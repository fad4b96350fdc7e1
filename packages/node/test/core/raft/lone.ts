import assert from 'node:assert/strict'
import { type AppendEntries, type InstallSnapshot, type RaftMessage, type StoreId, TIMERS } from '@ashlar/proto'
import type { LogEntry } from '../../../src/core/control/index.ts'
import type { Context } from '../../../src/core/machine.ts'
import { type PersistRequest, RaftMachine, type RaftOptions, type RaftView } from '../../../src/core/raft/index.ts'
import { CLUSTER, store } from '../control/kit.ts'
import { named, voter } from './cluster.ts'
import { RaftDisk } from './disk.ts'

/** The bootstrap entry of a cluster with this many initial voters. */
export function bootstrapEntry(voters = 3): LogEntry {
  const members = Array.from({ length: voters }, (_, i) => voter(i + 1))
  return { index: 1, term: 1, command: { do: 'found', cluster: CLUSTER, voters: members } }
}

export function entry(index: number, term: number, name = `${index}/${term}`): LogEntry {
  return { index, term, command: named(name) }
}

/** After it a lone machine, whose chance is always half, no longer waits for a leader or a majority. */
export const ELECTION_MS = (TIMERS.electionMinMs + TIMERS.electionMaxMs) / 2 + TIMERS.tickMs

export interface LoneOptions {
  readonly self?: number
  readonly entries?: readonly LogEntry[]
  readonly raft?: Partial<RaftOptions>
}

/**
 * One machine, to which a test says what the others would say. All that it sends, writes and hands over comes out as
 * lines that read like a transcript. Its disk writes nothing until `write`.
 */
export class Lone {
  now = 1000
  machine!: RaftMachine
  readonly self: number
  readonly disk: RaftDisk
  readonly #options: LoneOptions
  #lines: string[] = []

  constructor(options: LoneOptions = {}) {
    this.#options = options
    this.self = options.self ?? 1
    this.disk = new RaftDisk(options.entries ?? [bootstrapEntry()])
    this.restart()
  }

  get view(): RaftView {
    return this.machine.view(this.now)
  }

  /** The process starts again over what is durable. */
  restart(): string[] {
    this.disk.waiting.length = 0
    const say = (line: string) => void this.#lines.push(line)
    this.machine = new RaftMachine(
      {
        self: store(this.self),
        ...this.disk.open(),
        options: this.#options.raft ?? {},
        snapshots: {
          take: () => ({ next: () => ({ bytes: new Uint8Array([7]), last: true }) }),
          restore: (state) => ({
            next: () => {
              say(`restore ${state.length} bytes`)
              return true
            },
          }),
        },
      },
      {
        send: (_ctx, message) => say(describeMessage(message)),
        persist: (_ctx, request) => {
          this.disk.waiting.push({ request, dueAt: 0 })
          say(describeRequest(request))
        },
      },
      {
        onCommitted: (_ctx, { index, term }, proposal) =>
          say(`commit ${index}/${term}${proposal === undefined ? '' : ` proposal ${proposal}`}`),
        onProposalLost: (_ctx, proposal) => say(`lost proposal ${proposal}`),
        onReadIndex: (_ctx, read, confirmed) => say(`read ${read} ${confirmed ? 'confirmed' : 'lost'}`),
        onLeadership: (_ctx, leads) => say(leads ? 'leads' : 'leads no more'),
      },
    )
    return this.step((ctx) => this.machine.start(ctx))
  }

  /** What the machine says to one input. */
  step(input: (ctx: Context) => void): string[] {
    const ctx = this.#context()
    input(ctx)
    this.machine.endStep(ctx)
    const lines = this.#lines
    this.#lines = []
    return lines
  }

  receive(message: RaftMessage): string[] {
    return this.step((ctx) => this.machine.onMessage(ctx, message))
  }

  /** The disk writes everything that it was asked for. */
  write(): string[] {
    const lines: string[] = []
    while (this.disk.waiting.length > 0) {
      const { token } = this.disk.complete()
      lines.push(...this.step((ctx) => this.machine.onPersisted(ctx, token)))
    }
    return lines
  }

  /** Time passes, with a tick each 50 ms. */
  wait(ms: number): string[] {
    const lines: string[] = []
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50
      lines.push(...this.step((ctx) => this.machine.onTick(ctx)))
    }
    return lines
  }

  /** Makes the machine leader of its next term, with the votes of the others. Every answer is what they would say. */
  elect(): void {
    this.wait(ELECTION_MS)
    const { term } = this.view
    const others = this.view.members.voters.filter((it) => it.store !== store(this.self))
    for (const it of others) this.receive({ ...this.#from(it.store, term), type: 'vote', pre: true, granted: true })
    this.write()
    for (const it of others)
      this.receive({ ...this.#from(it.store, term + 1), type: 'vote', pre: false, granted: true })
    this.write()
    assert.equal(this.view.role, 'leader')
  }

  // ---- what the others say ---------------------------------------------------------------------------------------------

  askVote(from: number, term: number, last: LogEntry, rest: { pre?: boolean; transfer?: boolean } = {}): string[] {
    const { pre = false, transfer = false } = rest
    const about = { lastIndex: last.index, lastTerm: last.term }
    return this.receive({ ...this.#from(store(from), term), type: 'ask-vote', pre, transfer, ...about })
  }

  append(
    from: number,
    term: number,
    rest: Partial<Pick<AppendEntries, 'prevIndex' | 'prevTerm' | 'entries' | 'commit'>>,
  ): string[] {
    const defaults = { prevIndex: 1, prevTerm: 1, entries: [], commit: 0 }
    return this.receive({ ...this.#from(store(from), term), type: 'append-entries', round: 0, ...defaults, ...rest })
  }

  accepted(from: number, match: number, round = 0): string[] {
    const { term } = this.view
    const hint = { hintIndex: 0, hintTerm: 0 }
    return this.receive({ ...this.#from(store(from), term), type: 'appended', accepted: true, match, round, ...hint })
  }

  snapshot(
    from: number,
    term: number,
    index: number,
    indexTerm: number,
    rest: Partial<InstallSnapshot> = {},
  ): string[] {
    const { voters, learners } = this.view.members
    const bytes = new Uint8Array([1, 2, 3])
    const state = { index, indexTerm, voters, learners, offset: 0, totalBytes: 3, bytes }
    return this.receive({ ...this.#from(store(from), term), type: 'install-snapshot', round: 0, ...state, ...rest })
  }

  #from(from: StoreId, term: number): { from: StoreId; to: StoreId; term: number } {
    return { from, to: store(this.self), term }
  }

  #context(): Context {
    return {
      now: this.now,
      emit: () => assert.fail('the machine speaks through its ports'),
      token: () => assert.fail('the machine numbers its own requests'),
      random: () => 0.5,
      event: () => {},
    }
  }
}

const number = (id: StoreId | undefined) => (id === undefined ? 'none' : Number(id.slice(-12)))
const places = (entries: readonly { index: number; term: number }[]) =>
  `[${entries.map(({ index, term }) => `${index}/${term}`).join(' ')}]`

export function describeMessage(message: RaftMessage): string {
  const ends = `${number(message.from)}>${number(message.to)} t${message.term}`
  switch (message.type) {
    case 'ask-vote':
      return `${message.pre ? 'pre-' : ''}ask ${ends} last ${message.lastIndex}/${message.lastTerm}`
    case 'vote':
      return `${message.pre ? 'pre-' : ''}vote ${ends} ${message.granted ? 'granted' : 'refused'}`
    case 'append-entries':
      return `append ${ends} after ${message.prevIndex}/${message.prevTerm} ${places(message.entries)} commit ${message.commit}`
    case 'appended':
      return message.accepted
        ? `appended ${ends} ${message.match}`
        : `refused ${ends} ${message.match} hint ${message.hintIndex}/${message.hintTerm}`
    case 'install-snapshot':
      return `snapshot ${ends} ${message.index}/${message.indexTerm} bytes ${message.offset}+${message.bytes.length}`
    case 'snapshot-received':
      return `received ${ends} ${message.index} bytes ${message.offset}`
    case 'lead-now':
      return `lead-now ${ends}`
  }
}

export function describeRequest({ hardState, snapshot, append }: PersistRequest): string {
  const parts = ['write']
  if (hardState !== undefined) {
    const recovering = hardState.recovering ? ' recovering' : ''
    parts.push(`term ${hardState.term} vote ${number(hardState.vote)}${recovering}`)
  }
  if (snapshot !== undefined) parts.push(`snapshot ${snapshot.index}/${snapshot.term}`)
  if (append !== undefined)
    parts.push(`${append.restart ? 'restart' : 'from'} ${append.from} ${places(append.entries)}`)
  return parts.join(' ')
}
