import {
  type Bytes,
  type ExtentId,
  FEATURE_LEVEL,
  FEATURES,
  type Greet,
  isRaftMessage,
  type MapCopy,
  type Message,
  type Millis,
  type RaftMessage,
  type SpaceReport,
  type StoreId,
  type Voter,
  volumeOf,
} from '@ashlar/proto'
import { ControlAgent } from './agent/index.ts'
import { Bootstrap } from './bootstrap/index.ts'
import { ControlLeader, type HeldSession, type MakeLocalLog } from './control/index.ts'
import { ControlNode } from './control-node.ts'
import { isFor } from './handlers.ts'
import { Links, LOOPBACK_LINK } from './links.ts'
import type { Context, Effect, Input, Link, MachineEvent, NodeStart } from './machine.ts'
import { Prng } from './prng.ts'
import type { RaftView } from './raft/index.ts'
import { type ExtentStatus, Replication } from './replication/index.ts'

type Ending = Extract<Input, { type: 'ending' }>

/**
 * All machines of one node. Routes each input to its room, and messages of this node to itself within the same step.
 *
 *   bootstrap ──cluster known──> agent (lease, map) ──map──> replication
 *                  └─this store votes─> leader over the control log
 */
export class NodeMachine {
  readonly links: Links
  readonly bootstrap: Bootstrap
  readonly agent: ControlAgent
  readonly replication: Replication
  private readonly start: NodeStart
  private readonly makeLocalLog: MakeLocalLog | undefined
  private readonly prng: Prng
  private control: ControlNode | undefined
  /** Leader of control at the end of the last step, as known to this store's raft. */
  private knownLeader: StoreId | undefined
  private joined = false
  private handOver: 'begun' | 'extents-over' | 'over' | undefined
  /** Why this incarnation is to end once no extent would wait for it (A2.6-4). */
  private leaving: string | undefined
  private lastToken = 0
  private loopback: Message[] = []
  private dialed: readonly string[] = []
  /** Map revision and voters from which `dialed` was computed. */
  private dialedAt: number | undefined
  private dialedVoters: readonly Voter[] | undefined

  /** `makeLocalLog`: what a model of a cluster has in the place of raft. */
  constructor(start: NodeStart, makeLocalLog?: MakeLocalLog) {
    this.start = start
    this.makeLocalLog = makeLocalLog
    this.prng = new Prng(start.seed)
    const { store, address, incarnation, knows: level = FEATURE_LEVEL } = start
    this.links = new Links({ store, address, counter: incarnation.counter, level })
    this.bootstrap = new Bootstrap(start)
    this.agent = new ControlAgent(start, this.links)
    this.replication = new Replication({
      self: store,
      counter: incarnation.counter,
      trust: start.trust,
      control: this.agent,
      links: this.links,
      replicas: start.replicas,
    })
    this.agent.listen(this.replication)
  }

  /** Space on the store's disk, which the node reports to control and to primaries (amendment 17). */
  setSpace({ space, freeBytes }: SpaceReport): void {
    this.agent.setSpace({ space, freeBytes })
    this.replication.setSpace({ space, freeBytes })
  }

  /** Control's leader, on a node that keeps the control log; it may not lead now. */
  get leader(): ControlLeader | undefined {
    return this.control?.leader
  }

  /** State of raft on this store; undefined if it does not take part. */
  raftView(now: Millis): RaftView | undefined {
    return this.control?.raftView(now)
  }

  /** Sessions that hold volumes, as control's leader knows them; none where another node leads. */
  holders(now: Millis): HeldSession[] {
    const views = this.control?.leader.holders(now) ?? []
    return views.map(({ session, owner, heardMsAgo, link }) => {
      const through = link === undefined ? undefined : this.links.storeOf(link)
      return { session, owner, heardMsAgo, through }
    })
  }

  /** Index of the last entry that raft delivered here; 0 without raft. */
  get logApplied(): number {
    return this.control?.applied ?? 0
  }

  get map(): MapCopy {
    return this.agent.map
  }

  /** Feature level of the cluster as known here: peers that do not support it are refused (A2.21-3). */
  get featureLevel(): number {
    return Math.max(this.start.featureLevel ?? 0, this.agent.map.featureLevel)
  }

  /** Block size of an extent: the shell needs it to verify checksums of writes. */
  blockSizeOf(extent: ExtentId): Bytes | undefined {
    return this.agent.map.volumes.get(volumeOf(extent))?.blockSizeBytes
  }

  describeExtents(): ExtentStatus[] {
    return this.replication.describe()
  }

  /** Why this store is to leave and could not yet. */
  get reasonToLeave(): string | undefined {
    return this.leaving
  }

  /** Handles one input at a moment of the monotonic clock; the shell executes the effects in order. */
  step(now: Millis, input: Input): readonly Effect[] {
    const effects: Effect[] = []
    const ctx = this.context(now, effects)
    if (input.type === 'ending') {
      this.end(ctx, input)
      return effects
    }
    this.links.onStep(now)
    this.onInput(ctx, input)
    this.endStep(ctx)
    for (let said = this.loopback; said.length > 0; said = this.loopback) {
      this.loopback = []
      for (const message of said) this.onMessage(ctx, LOOPBACK_LINK, message)
      this.endStep(ctx)
    }
    this.dialPeers(ctx)
    this.endHandOver(ctx, effects)
    return effects
  }

  /** Reports why this incarnation ends to all nodes that can read it: nothing else leaves the machine any more. */
  private end(ctx: Context, { kind, reason, at }: Ending): void {
    const { store, incarnation } = this.start
    const message = { type: 'ending', store, counter: incarnation.counter, kind, reason, at } as const
    const level = Math.min(this.start.knows ?? FEATURE_LEVEL, this.featureLevel)
    if (level < FEATURES.reportedEnds) return
    for (const link of this.links.oneToEach())
      if (this.links.levelOf(link) >= FEATURES.reportedEnds) ctx.emit({ type: 'send', link, message })
  }

  private endStep(ctx: Context): void {
    this.control?.leader.endStep(ctx)
    const leads = this.control?.leaderStore
    if (leads !== this.knownLeader) this.agent.onLeaderKnown(this.control?.voters.find(({ store }) => store === leads))
    this.knownLeader = leads
    this.agent.endStep(ctx)
    this.bootstrap.learnVoters(ctx, this.agent.map)
    this.replication.endStep(ctx)
  }

  /** Dials the nodes of --peers, the voters and the nodes of the map, except this one. */
  private dialPeers(ctx: Context): void {
    const { map, voters } = this.agent
    if (this.dialedAt === map.revision && this.dialedVoters === voters) return
    this.dialedAt = map.revision
    this.dialedVoters = voters
    const known = [...this.start.peers, ...[...voters, ...map.nodes.values()].map((node) => node.address)]
    const addresses = [...new Set(known)].filter((address) => address !== '' && address !== this.start.address).sort()
    if (addresses.join() === this.dialed.join()) return
    this.dialed = addresses
    ctx.emit({ type: 'dial', addresses })
  }

  private context(now: Millis, effects: Effect[]): Context {
    const ctx: Context = {
      now,
      emit: (effect) => {
        if (effect.type === 'handed-over') this.handOver = 'extents-over'
        else if (effect.type !== 'send') effects.push(effect)
        else if (effect.link === LOOPBACK_LINK) this.loopback.push(effect.message)
        else {
          this.links.onSent(ctx, effect.link, effect.message)
          effects.push(effect)
        }
      },
      token: () => ++this.lastToken,
      random: () => this.prng.next(),
      event: (level: MachineEvent['level'], what, details) =>
        effects.push({ type: 'event', event: { level, what, ...details } }),
    }
    return ctx
  }

  private onInput(ctx: Context, input: Exclude<Input, Ending>): void {
    switch (input.type) {
      case 'tick':
        return this.onTick(ctx)
      case 'link-up':
        return this.onLinkUp(ctx, input)
      case 'link-down':
        return this.onLinkDown(ctx, input.link)
      case 'received':
        this.links.onReceived(ctx, input.link)
        return this.onMessage(ctx, input.link, input.message)
      case 'store-failed':
        // The store must not acknowledge anything, and must be compared before it counts again.
        return ctx.emit({
          type: 'fatal',
          kind: input.kind ?? 'store-failed',
          reason: `the store failed: ${input.reason}`,
        })
      case 'damage-found':
        return this.replication.onDamageFound(ctx, input.extent, input.blocks)
      case 'store-suspect':
        if (input.extent !== undefined) this.replication.stopServing(ctx, input.extent)
        return this.becomeSuspect(ctx, input.reason)
      case 'versions-lost':
        return this.onVersionsLost(ctx, input.extent, input.reason)
      case 'store-cleared':
        return this.agent.suspicion.setCleared(true)
      case 'log-appended':
        if (this.control === undefined) return this.bootstrap.onLogAppended(ctx)
        return this.control.onLogAppended(ctx, input.index)
      case 'raft-persisted':
        return this.control?.onPersisted(ctx, input.token)
      case 'cluster-saved':
        this.bootstrap.onClusterSaved(ctx)
        return this.followBootstrap(ctx)
      case 'admin':
        return this.agent.onAdmin(ctx, input.token, input.command)
      case 'shut-down':
        this.leaving = undefined
        this.handOver ??= 'begun'
        return this.replication.shutDown(ctx)
      default:
        return this.replication.onCompletion(ctx, input)
    }
  }

  private onTick(ctx: Context): void {
    this.links.onTick(ctx, this.featureLevel)
    this.bootstrap.onTick(ctx)
    this.followBootstrap(ctx)
    this.control?.onTick(ctx)
    this.agent.onTick(ctx)
    this.replication.onTick(ctx)
    this.leave(ctx)
  }

  private becomeSuspect(ctx: Context, reason: string): void {
    if (this.leaving === undefined) ctx.event('error', 'store-suspect', { reason })
    this.leaving ??= reason
    this.agent.suspicion.setCleared(false)
  }

  /** A store that was opened as suspect goes on, unless it serves the extent (A2.17-5). */
  private onVersionsLost(ctx: Context, extent: ExtentId, reason: string): void {
    ctx.event('error', 'versions-lost', { extent, reason })
    this.agent.suspicion.setCleared(false)
    if (!this.replication.onVersionsLost(ctx, extent)) this.becomeSuspect(ctx, reason)
  }

  /**
   * A store that became suspect hands over its extents and its process ends; the next incarnation leaves the in-sync
   * sets and is compared. Deferred until every extent has enough other in-sync replicas.
   */
  private leave(ctx: Context): void {
    if (this.leaving === undefined || this.handOver !== undefined || !this.agent.leaseHeld(ctx)) return
    if (!this.replication.mayLeave) return
    this.handOver = 'begun'
    this.replication.shutDown(ctx)
  }

  private onLinkUp(ctx: Context, input: Extract<Input, { type: 'link-up' }>): void {
    this.links.onLinkUp(ctx, input)
    if (input.peer.kind === 'node') this.bootstrap.onLinkUp(ctx, input.link)
    this.agent.onLinkUp(ctx)
    if (input.peer.kind === 'node') this.replication.onLinkUp(ctx)
  }

  private onLinkDown(ctx: Context, link: Link): void {
    const store = this.links.storeOf(link)
    if (!this.links.onLinkDown(link, ctx.now)) return
    this.bootstrap.onLinkDown(link)
    this.control?.onLinkDown(ctx, link, store)
    this.agent.onLinkDown(ctx, link)
    this.replication.onLinkDown(ctx, link)
  }

  /** Each role has a table of what it takes: `handlers` of the leader and the agent, handlers.ts of replication. */
  private onMessage(ctx: Context, link: Link, message: Message): void {
    if (!this.links.has(link) || this.replication.onMessage(ctx, link, message)) return
    if (message.type === 'ending') return this.links.onEnding(link, message)
    if (message.type === 'greet') return this.onGreet(ctx, link, message)
    if (isRaftMessage(message)) return this.onRaftMessage(ctx, link, message)
    // What a client sends to control goes to the agent, which relays it.
    if (this.control !== undefined && isFor(ControlLeader.handlers, message) && !this.links.isClient(link))
      return this.control.leader.onMessage(ctx, link, message)
    this.agent.onMessage(ctx, link, message)
  }

  private onGreet(ctx: Context, link: Link, message: Greet): void {
    this.bootstrap.onGreet(ctx, link, message)
    this.agent.onGreeted(message)
    this.followBootstrap(ctx)
  }

  private onRaftMessage(ctx: Context, link: Link, message: RaftMessage): void {
    const { joined } = this.bootstrap
    const invited = ControlNode.isInvitation(message) && message.to === this.start.store
    if (this.control === undefined && joined !== undefined && invited) {
      this.control = new ControlNode(this.start, joined, this.links, this.makeLocalLog)
      this.control.start(ctx)
    }
    this.control?.onRaftMessage(ctx, link, message)
  }

  /**
   * Ends a hand-over: extents first, which needs a leader, then leadership itself. Without a lease there is nothing to
   * hand over: control does not respond, or has already named other primaries.
   */
  private endHandOver(ctx: Context, effects: Effect[]): void {
    if (this.handOver !== 'begun' && this.handOver !== 'extents-over') return
    if (!this.agent.leaseHeld(ctx)) this.handOver = 'extents-over'
    if (this.handOver !== 'extents-over' || this.control?.passLeadershipOn(ctx) === true) return
    this.handOver = 'over'
    if (this.leaving === undefined) effects.push({ type: 'handed-over' })
    else effects.push({ type: 'fatal', kind: 'store-suspect', reason: `the store is suspect: ${this.leaving}` })
  }

  /** Once the cluster is known, control starts on its voters, and this store registers. */
  private followBootstrap(ctx: Context): void {
    const joined = this.bootstrap.joined
    if (this.joined || joined === undefined) return
    this.joined = true
    if (ControlNode.isNeeded(this.start, joined)) {
      this.control = new ControlNode(this.start, joined, this.links, this.makeLocalLog)
      this.control.start(ctx)
    }
    this.agent.begin(ctx, joined.cluster, joined.voters)
    for (const greet of this.bootstrap.greetings) this.agent.onGreeted(greet)
  }
}
