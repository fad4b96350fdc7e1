import type {
  AdminCommand,
  AdminDone,
  ClusterId,
  FromLeader,
  Greet,
  MapDelta,
  Message,
  Millis,
  Promises,
  Registered,
  Released,
  Renewed,
  SetChange,
  SetsChanged,
  SpaceReport,
  StoreId,
  Voter,
} from '@ashlar/proto'
import { ERRORS, errorCodeOf, FEATURES, MapCopy, TIMERS } from '@ashlar/proto'
import { MapWatchers } from '../control/index.ts'
import { type Handlers, handle, isFor } from '../handlers.ts'
import type { ControlView, MapListener, PeerLinks } from '../interfaces.ts'
import { LOOPBACK_LINK } from '../links.ts'
import type { Context, Link, NodeStart, Token } from '../machine.ts'
import { AdminRelay, type Requester } from './admin-relay.ts'
import { endAhead } from './ahead.ts'
import { HeldLease } from './held-lease.ts'
import { KnownLevel, type LevelStart } from './known-level.ts'
import { OwnSuspicion } from './own-suspicion.ts'
import { type ReleasedExtent, type ReleaseReason, Releases } from './releases.ts'
import { SetRequests } from './set-requests.ts'
import { type AgentView, agentState, waitsFor } from './view.ts'
import { VoterChoice } from './voter-choice.ts'

/** What the agent is built from: who this node is. */
export type AgentStart = LevelStart & Pick<NodeStart, 'store' | 'name' | 'address' | 'api' | 'incarnation' | 'trust'>

/**
 * Control's agent on every node: registers, renews the lease, learns the map and serves it to clients, and carries what
 * replication and clients ask to control's leader and back. It decides nothing about extents.
 *
 *   no cluster ─begin─> registering ─registered─> registered ─renewal refused─┐
 *                            └───────────────────<────────────────────────────┘
 *
 * While it registers it holds no lease, and no renewal that was sent before counts (amendment 3).
 */
export class ControlAgent implements ControlView {
  /** What the leader sends to each node, and what clients send to theirs. */
  static readonly handlers: Handlers<ControlAgent, FromLeader['type'] | 'get-map' | 'admin'> = {
    registered: (agent, ctx, _link, message) => agent.onRegistered(ctx, message),
    renewed: (agent, ctx, _link, message) => agent.onRenewed(ctx, message),
    'map-update': (agent, ctx, _link, { delta }) => agent.onMapUpdate(ctx, delta),
    'sets-changed': (agent, ctx, _link, message) => agent.onSetsChanged(ctx, message),
    released: (agent, ctx, _link, message) => agent.onReleased(ctx, message),
    'admin-done': (agent, ctx, _link, message) => agent.onAdminDone(ctx, message),
    'get-map': (agent, ctx, link, { have, watch }) => agent.watchers.ask(ctx, agent.map, link, have, watch),
    admin: (agent, ctx, link, { request, command }) => agent.ask(ctx, { link, request }, command),
  }

  readonly map: MapCopy = new MapCopy()
  readonly suspicion: OwnSuspicion = new OwnSuspicion()
  private readonly start: AgentStart
  private readonly links: PeerLinks
  private readonly lease = new HeldLease()
  private readonly sets = new SetRequests()
  private readonly releases = new Releases()
  private readonly relay = new AdminRelay()
  private readonly watchers = new MapWatchers()
  private listener: MapListener | undefined
  private cluster: ClusterId | undefined
  private readonly voter = new VoterChoice()
  /** The link to the leader of the last step. */
  private leaderLink: Link | undefined
  private registration: { request: number; sentAt: Millis | undefined } | undefined
  private refusal = ''
  private registered = false
  /** The lease held at the end of the last step. */
  private heldLease = false
  private lastRequest = 0
  private renewedAt = Number.NEGATIVE_INFINITY
  /** When the map was asked for over this link; undefined: it has to be. */
  private mapAskedAt: Millis | undefined
  private mapMissing = false
  private readonly level: KnownLevel
  private room: SpaceReport = { space: 'free', freeBytes: Number.MAX_SAFE_INTEGER }
  /** Deltas of this step, to be passed on to watchers. */
  private recent: MapDelta[] = []

  constructor(start: AgentStart, links: PeerLinks) {
    this.start = start
    this.links = links
    this.level = new KnownLevel(start)
  }

  /** Who is told of changes. Called once, before anything else. */
  listen(listener: MapListener): void {
    this.listener = listener
  }

  /** The cluster is known: register with it. */
  begin(ctx: Context, cluster: ClusterId, voters: readonly Voter[]): void {
    this.cluster = cluster
    this.voter.learn(voters)
    this.drive(ctx)
  }

  /** A peer greets, and tells who votes by the map that it knows. */
  onGreeted({ cluster, voters }: Pick<Greet, 'cluster' | 'voters'>): void {
    if (cluster !== undefined && cluster === this.cluster) this.voter.learnMore(voters)
  }

  /** Voters that this node knows of. Another list whenever they change. */
  get voters(): readonly Voter[] {
    return this.voter.all
  }

  /** This node takes part in control's log, and knows who leads it, or that nobody does any more. */
  onLeaderKnown(leader: Voter | undefined): void {
    this.voter.hint(leader)
  }

  /** Room of this store, told to control with every renewal. */
  setSpace(room: SpaceReport): void {
    this.room = room
  }

  // ---- what replication uses ---------------------------------------------------------------------------------------

  leaseHeld(ctx: Context): boolean {
    return this.lease.held(ctx.now)
  }

  mapAsOf(): Millis {
    return this.lease.mapAsOf
  }

  requestChange(_ctx: Context, change: SetChange): void {
    this.sets.add(change)
  }

  release(_ctx: Context, extents: readonly ReleasedExtent[], reason: ReleaseReason): void {
    this.releases.add(extents, reason)
  }

  reportPromises(ctx: Context, extents: Promises['extents']): void {
    const link = this.registered && this.map.featureLevel >= FEATURES.raisedEpochs ? this.findLeader() : undefined
    const { store, incarnation } = this.start
    if (link === undefined) return
    ctx.emit({ type: 'send', link, message: { type: 'promises', store, counter: incarnation.counter, extents } })
  }

  /** True while control has not answered for every extent that was given up. */
  get releasing(): boolean {
    return this.releases.pending
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  onTick(ctx: Context): void {
    this.drive(ctx)
  }

  onLinkUp(ctx: Context): void {
    this.drive(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    this.watchers.forget(link)
    this.relay.onLinkDown(link)
    this.drive(ctx)
  }

  onMessage(ctx: Context, link: Link, message: Message): void {
    if (isFor(ControlAgent.handlers, message)) handle(ControlAgent.handlers, this, ctx, link, message)
  }

  /** A command of this node's own HTTP API; answered by the effect `admin-done` with this token. */
  onAdmin(ctx: Context, token: Token, command: AdminCommand): void {
    this.ask(ctx, { token }, command)
  }

  private ask(ctx: Context, requester: Requester, command: AdminCommand): void {
    this.relay.ask(ctx, requester, command, this.findLeader(), this.absence())
  }

  /** Sends what this step gathered, and tells watchers what it changed. */
  endStep(ctx: Context): void {
    this.drive(ctx)
    this.watchers.push(ctx, this.map, this.recent)
    this.recent = []
  }

  view(now: Millis): AgentView {
    const leader = this.findLeader()
    const state = agentState(this.cluster !== undefined, leader !== undefined, this.registered)
    return {
      state,
      waitsFor: waitsFor(state, this.refusal, () => this.absence()),
      leaderStore: leader === undefined ? undefined : this.voter.current?.store,
      leader: leader === undefined ? undefined : this.voterAddress(this.voter.current),
      leaseRemainingMs: this.lease.remainingMs(now),
      revision: this.map.revision,
    }
  }

  /** The store that leads control, as far as this node has heard from it. */
  get leader(): StoreId | undefined {
    return this.findLeader() === undefined ? undefined : this.voter.leader
  }

  // ---- the leader ----------------------------------------------------------------------------------------------------

  /** Where a voter answers now: the map knows when its address changed. */
  private voterAddress(voter: Voter | undefined): string | undefined {
    if (voter === undefined) return undefined
    return this.map.nodes.get(voter.store)?.address || voter.address
  }

  /** A voter is known by its store: another store at its address is not control (A2.0-1). */
  private findLeader(): Link | undefined {
    const voter = this.voter.current
    return voter === undefined ? undefined : this.linkTo(voter)
  }

  private linkTo(voter: Voter): Link | undefined {
    return voter.store === this.start.store ? LOOPBACK_LINK : this.links.dialed(voter.store)
  }

  /** Says why there is no leader to ask. */
  private absence(): string {
    const voter = this.voter.current
    const address = this.voterAddress(voter)
    if (voter === undefined || address === undefined) return 'this node has not joined a cluster yet'
    const link = this.links.dialedAddress(address)
    const other = link === undefined ? undefined : this.links.storeOf(link)
    if (other !== undefined && other !== voter.store)
      return `control's voter is store ${voter.store}, but another store (${other}) answers at ${address}`
    return `control's voter at ${address} does not answer: see whether that node runs`
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  /** Does what is due: registration, renewal, the map, requests. Changes nothing when nothing is. */
  private drive(ctx: Context): void {
    this.watchLease(ctx)
    this.voter.seek(ctx.now, (voter) => this.linkTo(voter))
    if (this.voter.isPaused(ctx.now)) return
    const link = this.cluster === undefined ? undefined : this.findLeader()
    if (link !== this.leaderLink) this.onLeaderLink(link)
    this.relay.drive(ctx, link, () => this.absence())
    if (link === undefined) return
    if (!this.registered) return this.register(ctx, link)
    this.askForMap(ctx, link)
    if (ctx.now - this.renewedAt >= TIMERS.renewMs) this.renew(ctx, link)
    const sender = { store: this.start.store, counter: this.start.incarnation.counter }
    this.sets.drive(ctx, link, sender)
    this.releases.drive(ctx, link, sender, this.map)
  }

  private watchLease(ctx: Context): void {
    const held = this.leaseHeld(ctx)
    if (this.heldLease && !held) ctx.event('warn', 'lease-lost', { leader: this.voterAddress(this.voter.current) })
    this.heldLease = held
  }

  /** Nothing that was sent over another link will be answered over this one. */
  private onLeaderLink(link: Link | undefined): void {
    this.leaderLink = link
    this.mapAskedAt = undefined
    this.renewedAt = Number.NEGATIVE_INFINITY
    if (this.registration !== undefined) this.registration.sentAt = undefined
    this.resend()
  }

  /** Also once a voter leads: what it was asked before it passed over. */
  private resend(): void {
    this.sets.resend()
    this.releases.resend()
  }

  private register(ctx: Context, link: Link): void {
    if (this.registration === undefined) {
      this.lease.drop()
      this.registration = { request: ++this.lastRequest, sentAt: undefined }
    }
    const { sentAt, request } = this.registration
    const cluster = this.cluster
    if (cluster === undefined || (sentAt !== undefined && ctx.now - sentAt < TIMERS.controlRetryMs)) return
    this.registration.sentAt = ctx.now
    this.voter.asked(ctx.now)
    const { store, name, address, api, incarnation, trust } = this.start
    const own = { store, name, address, api, incarnation, trust, ...this.level.told }
    ctx.emit({ type: 'send', link, message: { type: 'register', request, cluster, ...own } })
  }

  private renew(ctx: Context, link: Link): void {
    this.renewedAt = ctx.now
    this.voter.asked(ctx.now)
    const { store, incarnation } = this.start
    const { revision } = this.map
    const token = this.lease.renew(ctx.now, revision)
    const report = { ...this.room, ...this.level.told, ...this.suspicion.report(store, this.map, this.listener) }
    const { counter } = incarnation
    ctx.emit({ type: 'send', link, message: { type: 'renew', token, store, counter, revision, ...report } })
  }

  /** Once over each link to the leader, which then tells of every change; again when something is missing. */
  private askForMap(ctx: Context, link: Link): void {
    const again = this.mapMissing && ctx.now - (this.mapAskedAt ?? ctx.now) >= TIMERS.controlRetryMs
    if (this.mapAskedAt !== undefined && !again) return
    this.mapAskedAt = ctx.now
    ctx.emit({ type: 'send', link, message: { type: 'get-map', have: this.map.revision, watch: true } })
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  private onRegistered(ctx: Context, message: Registered): void {
    if (this.registration?.request !== message.request) return
    if (message.code === ERRORS.NO_CONTROL.number) {
      this.registration.sentAt = undefined
      return this.voter.refused(ctx.now)
    }
    if (this.voter.answered()) this.resend()
    if (message.code !== ERRORS.OK.number) {
      // It is asked again after the retry time: what stands in the way (a name in use) may go away.
      if (this.refusal !== message.message)
        ctx.event('error', 'registration-refused', {
          code: errorCodeOf(message.code),
          reason: message.message,
        })
      this.refusal = message.message
      return
    }
    this.registration = undefined
    this.registered = true
    this.refusal = ''
    this.renewedAt = Number.NEGATIVE_INFINITY
    ctx.event('info', 'registered', { revision: message.revision })
  }

  private onRenewed(ctx: Context, message: Renewed): void {
    if (!this.lease.awaits(message.token)) return
    if (message.code === ERRORS.NO_CONTROL.number) {
      this.renewedAt = Number.NEGATIVE_INFINITY
      return this.voter.refused(ctx.now)
    }
    if (this.voter.answered()) this.resend()
    if (message.code !== ERRORS.OK.number) {
      this.lease.drop()
      this.registered = false
      return
    }
    if (this.lease.isBehind(message.token, message.revision)) return endAhead(ctx, this.map.revision, message.revision)
    this.lease.answered(message.token, message.revision, this.map.revision)
    if (message.revision > this.map.revision) this.mapMissing = true
  }

  private onMapUpdate(ctx: Context, delta: MapDelta): void {
    if (delta.cluster !== this.cluster) return ctx.event('error', 'foreign-map', { cluster: delta.cluster })
    if (this.map.gap(delta)) {
      this.mapMissing = true
      return
    }
    const change = this.map.apply(delta)
    if (change === undefined) return
    this.level.follow(ctx, this.map.featureLevel)
    this.mapMissing = false
    this.recent.push(delta)
    this.voter.learn(this.map.voters)
    // Who attached a volume waits until its primaries renew at this revision (A2.11-1): they do so at once.
    if (change.volumes.length > 0) this.renewedAt = Number.NEGATIVE_INFINITY
    this.listener?.onMapChanged(ctx, change.extents, change.removedExtents)
    this.lease.applied(this.map.revision)
    this.tellOutcomes(ctx)
  }

  private onSetsChanged(ctx: Context, message: SetsChanged): void {
    this.sets.onResponse(message)
    this.tellOutcomes(ctx)
  }

  private onReleased(ctx: Context, message: Released): void {
    if (!this.releases.onResponse(message, ctx.now, this.map)) this.voter.refused(ctx.now)
    this.tellOutcomes(ctx)
  }

  private onAdminDone(ctx: Context, message: AdminDone): void {
    if (!this.relay.onResponse(ctx, message)) this.voter.refused(ctx.now)
  }

  private tellOutcomes(ctx: Context): void {
    for (const { change, committed } of this.sets.takeSettled(this.map))
      this.listener?.onSetChanged(ctx, change, committed)
    if (this.sets.aheadOfMap) this.mapMissing = true
    // The changes of a release come before its answer on the same link, so that the map shows them unless it has a gap.
    const released = this.mapMissing ? [] : this.releases.takeAnswered()
    if (released.length > 0) this.listener?.onReleased(ctx, released)
  }
}
