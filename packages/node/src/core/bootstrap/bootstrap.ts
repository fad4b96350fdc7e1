import type { ClusterId, Greet, Message, Millis, Voter } from '@ashlar/proto'
import { TIMERS } from '@ashlar/proto'
import type { LogEntry } from '../control/index.ts'
import type { Context, Link, NodeStart } from '../machine.ts'
import { newClusterId } from './cluster-id.ts'

/** What the data directory and the options say. */
export type BootstrapStart = Pick<
  NodeStart,
  | 'store'
  | 'address'
  | 'cluster'
  | 'voters'
  | 'founded'
  | 'peers'
  | 'expect'
  | 'log'
  | 'snapshot'
  | 'hardState'
  | 'voterCount'
>

/** The cluster that this store belongs to. */
export interface Joined {
  readonly cluster: ClusterId
  readonly voters: readonly Voter[]
  /** Entries of the control log on this store. Empty: this store is not a voter. */
  readonly log: readonly LogEntry[]
}

export type BootstrapState = 'waiting' | 'bootstrapping' | 'joining' | 'joined' | 'control-lost'

/**
 * How a store gets into its cluster (amendment 9). The peer whose address sorts first among the expected ones
 * bootstraps the cluster, once all of them respond, name the same peers and are empty. If a peer knows a cluster, an
 * empty store joins that one. Otherwise the store waits and reports for which peers.
 *
 *   waiting ──all expected are empty, first address is mine──> bootstrapping ──entry, identity durable──> joined
 *      └─────────────────a peer knows a cluster──────────────> joining ────────identity durable─────────> joined
 *   control-lost: the only voter had this address but was another store, or this store bootstrapped the cluster and its
 *   log is missing. The log cannot be recreated: the store waits for an operator.
 *
 * The first entry of the log is durable before the identity that says `founded`, so a store with that identity and
 * without a log lost it, and did not crash during the bootstrap.
 */
export class Bootstrap {
  private readonly start: BootstrapStart
  private readonly greeted = new Map<Link, Greet>()
  private readonly links = new Set<Link>()
  private stage: BootstrapState = 'waiting'
  private cluster: ClusterId | undefined
  private voters: readonly Voter[]
  private log: readonly LogEntry[]
  private founded: boolean
  private begunAt: Millis | undefined
  private lost = ''
  /** The last logged problem, which is logged once and not at every greeting. */
  private complaint = ''

  constructor(start: BootstrapStart) {
    this.start = start
    this.cluster = start.cluster
    this.voters = start.voters
    this.log = start.log
    this.founded = start.founded
    if (start.cluster === undefined) return
    this.stage = 'joined'
    const isEmpty = start.log.length === 0 && start.snapshot === undefined
    // The other voters have the log, and fill this one.
    if (start.founded && isEmpty && start.hardState?.recovering !== true)
      this.loseControl('this store bootstrapped its cluster, but its control log is missing')
    else this.checkVoters(start.voters)
  }

  /** The last greeting of each connected peer. */
  get greetings(): Iterable<Greet> {
    return this.greeted.values()
  }

  get state(): BootstrapState {
    return this.stage
  }

  /** The cluster, once it is in this store's durable identity. */
  get joined(): Joined | undefined {
    if (this.stage !== 'joined' || this.cluster === undefined) return undefined
    return { cluster: this.cluster, voters: this.voters, log: this.log }
  }

  /** What this store waits for, as one sentence; empty once it has joined. */
  get waitsFor(): string {
    if (this.stage === 'joined') return ''
    if (this.stage === 'control-lost') return this.lost
    if (this.stage === 'bootstrapping') return 'bootstraps a new cluster: waits for its own disk'
    if (this.stage === 'joining') return `joins cluster ${this.cluster}: waits for its own disk`
    return this.hindrance() ?? this.waitForBootstrap()
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  /** A link to a node is up: each side greets the other. */
  onLinkUp(ctx: Context, link: Link): void {
    this.links.add(link)
    ctx.emit({ type: 'send', link, message: this.greet() })
  }

  onLinkDown(link: Link): void {
    this.links.delete(link)
    this.greeted.delete(link)
  }

  onGreet(ctx: Context, link: Link, greet: Greet): void {
    this.greeted.set(link, greet)
    this.decide(ctx)
  }

  onTick(ctx: Context): void {
    this.begunAt ??= ctx.now
    this.decide(ctx)
  }

  /** The first entry of the control log is on stable storage. Only during a bootstrap. */
  onLogAppended(ctx: Context): void {
    if (this.stage === 'bootstrapping') this.save(ctx, true)
  }

  /** This store's identity names its cluster. */
  onClusterSaved(ctx: Context): void {
    if (this.stage !== 'bootstrapping' && this.stage !== 'joining') return
    this.stage = 'joined'
    ctx.event('info', 'cluster-joined', { cluster: this.cluster, founded: this.log.length > 0 })
    // Waiting peers join at once.
    for (const link of this.links) ctx.emit({ type: 'send', link, message: this.greet() })
  }

  /** Saves the voters of the map, for a later start and for stores that join. */
  learnVoters(ctx: Context, map: { readonly cluster: ClusterId | undefined; readonly voters: readonly Voter[] }): void {
    if (this.stage !== 'joined' || map.cluster !== this.cluster || map.voters === this.voters) return
    // The array is new whenever the voters may have changed.
    const isKnown = sameVoters(map.voters, this.voters)
    this.voters = map.voters
    if (isKnown) return
    this.save(ctx, this.founded)
    for (const link of this.links) ctx.emit({ type: 'send', link, message: this.greet() })
  }

  // ---- decisions ---------------------------------------------------------------------------------------------------

  private decide(ctx: Context): void {
    if (this.stage !== 'waiting') return
    if (this.log.length > 0) return this.resume(ctx)
    const known = this.knownClusters()
    const [first] = known
    if (known.length > 1)
      return this.complain(ctx, `peers belong to different clusters: ${known.map(describeCluster).join('; ')}`)
    if (first !== undefined) return this.adopt(ctx, first)
    const hindrance = this.hindrance()
    if (hindrance !== undefined) return this.complainOfLists(ctx)
    if (this.bootstraps() && this.heardLongEnough(ctx)) this.bootstrap(ctx)
  }

  /** One greeting for each cluster of a peer. */
  private knownClusters(): Greet[] {
    const byCluster = new Map<ClusterId, Greet>()
    for (const greet of this.greeted.values())
      if (greet.cluster !== undefined && !byCluster.has(greet.cluster)) byCluster.set(greet.cluster, greet)
    return [...byCluster.values()]
  }

  private adopt(ctx: Context, greet: Greet): void {
    if (greet.cluster === undefined || greet.voters.length === 0) return
    if (this.start.expect === 1)
      return ctx.emit({
        type: 'fatal',
        kind: 'other-cluster',
        reason: `refused to bootstrap another cluster: ${greet.address} responds and belongs to cluster ${greet.cluster}; start without --init to join it`,
      })
    if (!this.checkVoters(greet.voters)) return ctx.event('error', 'control-lost', { reason: this.lost })
    this.stage = 'joining'
    this.cluster = greet.cluster
    this.voters = greet.voters
    this.save(ctx, false)
  }

  /** False, and control is lost: the only voter had this address, but was another store. */
  private checkVoters(voters: readonly Voter[]): boolean {
    const { address, store } = this.start
    const [voter] = voters
    if (voters.length !== 1 || voter === undefined || voter.address !== address || voter.store === store) return true
    this.loseControl(`the control log is lost: the only voter of control was store ${voter.store} at this address`)
    return false
  }

  private loseControl(what: string): void {
    this.stage = 'control-lost'
    this.lost = `${what}: bring its data directory back, or rebuild the map from the surviving stores`
  }

  /** Peers that must respond before a bootstrap, including this node: the first of the sorted list. */
  private expected(): readonly string[] {
    return this.start.peers.slice(0, this.start.expect)
  }

  private bootstraps(): boolean {
    return this.start.expect === 1 || this.expected()[0] === this.start.address
  }

  /** Why no cluster can be bootstrapped now, as one sentence; undefined if one can. */
  private hindrance(): string | undefined {
    const { peers, expect, address } = this.start
    if (expect === 1) return undefined
    if (!peers.includes(address))
      return `--peers (${peers.join(', ')}) does not name this node's own address ${address}`
    if (peers.length < expect) return `waits for --peers to name ${expect} nodes: it names ${peers.length}`
    const heard = new Map([...this.greeted.values()].map((greet) => [greet.address, greet]))
    const silent = this.expected().filter((peer) => peer !== address && !heard.has(peer))
    if (silent.length > 0) return `waits for ${silent.join(', ')} to respond before the cluster is bootstrapped`
    return this.differingLists()
  }

  private differingLists(): string | undefined {
    const mine = this.start.peers.join(', ')
    for (const greet of this.greeted.values()) {
      const theirs = greet.expect.join(', ')
      if (theirs !== mine)
        return `--peers differ: this node has ${mine}, and ${greet.address} has ${theirs}; make them equal`
    }
    return undefined
  }

  private waitForBootstrap(): string {
    if (this.bootstraps()) return 'waits a moment for peers that may know a cluster'
    return `waits for ${this.expected()[0]}, whose address sorts first, to bootstrap the cluster`
  }

  private complainOfLists(ctx: Context): void {
    const differing = this.differingLists()
    if (differing !== undefined) this.complain(ctx, differing)
  }

  private complain(ctx: Context, complaint: string): void {
    if (this.complaint !== complaint) ctx.event('error', 'bootstrap-blocked', { reason: complaint })
    this.complaint = complaint
  }

  /** With `--init` no peer has to respond, but one that knows a cluster gets the time to. */
  private heardLongEnough(ctx: Context): boolean {
    const { expect, peers, address } = this.start
    if (expect !== 1 || peers.every((peer) => peer === address)) return true
    return this.begunAt !== undefined && ctx.now - this.begunAt >= TIMERS.silentMs
  }

  private bootstrap(ctx: Context): void {
    this.stage = 'bootstrapping'
    this.cluster = newClusterId(this.start.store, () => ctx.random())
    this.voters = this.chooseVoters()
    const entry: LogEntry = {
      index: 1,
      term: 1,
      command: { do: 'found', cluster: this.cluster, voters: this.voters },
    }
    this.log = [entry]
    ctx.event('info', 'cluster-bootstrap', { cluster: this.cluster, peers: this.start.peers })
    ctx.emit({ type: 'log-append', index: entry.index, entry })
  }

  /**
   * The first of the expected peers, including this one; an odd number, since an even one tolerates no further failure.
   */
  private chooseVoters(): Voter[] {
    const { store, address, expect, voterCount = 1 } = this.start
    if (Math.min(expect, voterCount) < 2) return [{ store, address }]
    const stores = new Map([...this.greeted.values()].map((greet) => [greet.address, greet.store]))
    stores.set(address, store)
    const voters: Voter[] = []
    for (const peer of this.expected()) {
      const answered = stores.get(peer)
      if (answered !== undefined) voters.push({ store: answered, address: peer })
    }
    const count = Math.min(voterCount, voters.length)
    return voters.slice(0, count % 2 === 1 ? count : count - 1)
  }

  /** The process ended between the first entry and the identity: this store has already bootstrapped the cluster. */
  private resume(ctx: Context): void {
    const command = this.log[0]?.command
    if (command?.do !== 'found')
      return ctx.emit({
        type: 'fatal',
        kind: 'data-directory',
        reason: 'the control log does not begin with the bootstrap of its cluster',
      })
    this.stage = 'bootstrapping'
    this.cluster = command.cluster
    this.voters = command.voters
    this.save(ctx, true)
  }

  private save(ctx: Context, founded: boolean): void {
    this.founded = founded
    if (this.cluster === undefined) return
    ctx.emit({ type: 'save-cluster', cluster: this.cluster, voters: this.voters, founded })
  }

  /** Peers learn of a cluster only once it is durable here. */
  private greet(): Message {
    const { store, address, peers } = this.start
    const known = this.stage === 'joined' || this.stage === 'control-lost'
    return {
      type: 'greet',
      store,
      address,
      ...(known && this.cluster !== undefined ? { cluster: this.cluster } : {}),
      voters: known ? this.voters : [],
      expect: peers,
    }
  }
}

function sameVoters(a: readonly Voter[], b: readonly Voter[]): boolean {
  return a.length === b.length && a.every((voter, place) => voter.store === b[place]?.store)
}

function describeCluster(greet: Greet): string {
  return `${greet.address} to ${greet.cluster}`
}
