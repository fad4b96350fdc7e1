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

/** Identity of this node. */
export type AgentStart = LevelStart & Pick<NodeStart, 'store' | 'name' | 'address' | 'api' | 'incarnation' | 'trust'>

/**
 * The agent of control on every node: registers, renews the lease, follows the map and sends it to clients, and relays
 * requests of replication and of clients to control's leader. It decides nothing about extents.
 *
 *   no cluster ─begin─> registering ─registered─> registered ─renewal refused─┐
 *                            └───────────────────<────────────────────────────┘
 *
 * While it registers it has no lease, and earlier renewals do not count (amendment 3).
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
  /** The link to the leader in the last step. */
  private leaderLink: Link | undefined
  private registration: { request: number; sentAt: Millis | undefined } | undefined
  private refusal = ''
  private registered = false
  /** The lease held at the end of the last step. */
  private heldLease = false
  private lastRequest = 0
  private renewedAt = Number.NEGATIVE_INFINITY
  /** When the map was requested over this link; undefined: not yet. */
  private mapRequestedAt: Millis | undefined
  private mapMissing = false
  private readonly level: KnownLevel
  private room: SpaceReport = { space: 'free', freeBytes: Number.MAX_SAFE_INTEGER }
  /** Deltas of this step, to relay to watchers. */
  private recent: MapDelta[] = []

  constructor(start: AgentStart, links: PeerLinks) {
    this.start = start
    this.links = links
    this.level = new KnownLevel(start)
  }

  /** Sets the listener for changes. Called once, before anything else. */
  listen(listener: MapListener): void {
    this.listener = listener
  }

  /** The cluster is known: begins to register. */
  begin(ctx: Context, cluster: ClusterId, voters: readonly Voter[]): void {
    this.cluster = cluster
    this.voter.learn(voters)
    this.drive(ctx)
  }

  /** A peer greets with the voters of its map. */
  onGreeted({ cluster, voters }: Pick<Greet, 'cluster' | 'voters'>): void {
    if (cluster !== undefined && cluster === this.cluster) this.voter.learnMore(voters)
  }

  /** Voters known to this node. A new array whenever they change. */
  get voters(): readonly Voter[] {
    return this.voter.all
  }

  /** The leader by this node's own raft; undefined if there is none. */
  onLeaderKnown(leader: Voter | undefined): void {
    this.voter.hint(leader)
  }

  /** Space of this store, which every renewal reports. */
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

  /** True while control has not responded to every release. */
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

  /** A command of this node's HTTP API; the effect `admin-done` with this token is the response. */
  onAdmin(ctx: Context, token: Token, command: AdminCommand): void {
    this.ask(ctx, { token }, command)
  }

  private ask(ctx: Context, requester: Requester, command: AdminCommand): void {
    this.relay.ask(ctx, requester, command, this.findLeader(), () => this.absence())
  }

  /** Sends the requests of this step, and its map changes to watchers. */
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

  /** The store that leads control, if it responded as leader. */
  get leader(): StoreId | undefined {
    return this.findLeader() === undefined ? undefined : this.voter.leader
  }

  // ---- the leader --------------------------------------------------------------------------------------------------

  /** A voter's present address: the map has it when it changed. */
  private voterAddress(voter: Voter | undefined): string | undefined {
    if (voter === undefined) return undefined
    return this.map.nodes.get(voter.store)?.address || voter.address
  }

  /** A voter is identified by its store: another store at its address is not control (A2.0-1). */
  private findLeader(): Link | undefined {
    const voter = this.voter.current
    return voter === undefined ? undefined : this.linkTo(voter)
  }

  private linkTo(voter: Voter): Link | undefined {
    return voter.store === this.start.store ? LOOPBACK_LINK : this.links.dialed(voter.store)
  }

  /** Why no leader is reachable. */
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

  /** Sends what is due: registration, renewal, request for the map, other requests. */
  private drive(ctx: Context): void {
    this.watchLease(ctx)
    this.voter.seek(ctx.now, (voter) => this.linkTo(voter))
    if (this.voter.isPaused(ctx.now)) return
    const link = this.cluster === undefined ? undefined : this.findLeader()
    if (link !== this.leaderLink) this.onLeaderLink(link)
    this.relay.drive(ctx, link, () => this.absence())
    if (link === undefined) return
    if (!this.registered) return this.register(ctx, link)
    this.requestMap(ctx, link)
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

  /** Responses to requests of another link do not come over this one. */
  private onLeaderLink(link: Link | undefined): void {
    this.leaderLink = link
    this.mapRequestedAt = undefined
    this.renewedAt = Number.NEGATIVE_INFINITY
    if (this.registration !== undefined) this.registration.sentAt = undefined
    this.resend()
  }

  /** Also once a voter leads: before that it ignored requests. */
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
    const own = { store, name, address, api, incarnation, trust, ...this.level.reported }
    ctx.emit({ type: 'send', link, message: { type: 'register', request, cluster, ...own } })
  }

  private renew(ctx: Context, link: Link): void {
    this.renewedAt = ctx.now
    this.voter.asked(ctx.now)
    const { store, incarnation } = this.start
    const { revision } = this.map
    const token = this.lease.renew(ctx.now, revision)
    const report = { ...this.room, ...this.level.reported, ...this.suspicion.report(store, this.map, this.listener) }
    const { counter } = incarnation
    ctx.emit({ type: 'send', link, message: { type: 'renew', token, store, counter, revision, ...report } })
  }

  /** Requests the map once over each link to the leader, which then sends every change; again if one is missing. */
  private requestMap(ctx: Context, link: Link): void {
    const again = this.mapMissing && ctx.now - (this.mapRequestedAt ?? ctx.now) >= TIMERS.controlRetryMs
    if (this.mapRequestedAt !== undefined && !again) return
    this.mapRequestedAt = ctx.now
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
      // Retried later, since the reason (a name in use) may go away.
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
    // An attachment waits until the primaries renew at this revision (A2.11-1): renew at once.
    if (change.volumes.length > 0) this.renewedAt = Number.NEGATIVE_INFINITY
    this.listener?.onMapChanged(ctx, change.extents, change.removedExtents)
    this.lease.applied(this.map.revision)
    this.reportOutcomes(ctx)
  }

  private onSetsChanged(ctx: Context, message: SetsChanged): void {
    this.sets.onResponse(message)
    this.reportOutcomes(ctx)
  }

  private onReleased(ctx: Context, message: Released): void {
    if (!this.releases.onResponse(message, ctx.now, this.map)) this.voter.refused(ctx.now)
    this.reportOutcomes(ctx)
  }

  private onAdminDone(ctx: Context, message: AdminDone): void {
    if (!this.relay.onResponse(ctx, message)) this.voter.refused(ctx.now)
  }

  private reportOutcomes(ctx: Context): void {
    for (const change of this.sets.takeSettled(this.map)) this.listener?.onSetChanged(ctx, change)
    if (this.sets.aheadOfMap) this.mapMissing = true
    // The map changes of a release precede its response, so the map has them unless it has a gap.
    const released = this.mapMissing ? [] : this.releases.takeAnswered()
    if (released.length > 0) this.listener?.onReleased(ctx, released)
  }
}
