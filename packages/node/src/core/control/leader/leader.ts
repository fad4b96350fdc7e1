import type { AdminCommand, Ending, GetMap, Promises, Register, Release, Renew, StoreId, ToLeader } from '@ashlar/proto'
import { FEATURE_LEVEL, invariant } from '@ashlar/proto'
import { type Handlers, handle } from '../../handlers.ts'
import type { Context, Link } from '../../machine.ts'
import {
  type CommandResult,
  clearSuspicion,
  commandOf,
  dueNote,
  isLogRequest,
  knownRefusal,
  raiseEpochs,
  registerCommand,
  tooEarly,
} from '../commands/index.ts'
import type { Command, ControlLog, ControlLogListener, ProposalId, SnapshotPort } from '../log/index.ts'
import { type MapState, MapWatchers, mapSnapshots } from '../map/index.ts'
import { Applier, EXTENTS_PER_TICK } from './applier.ts'
import { Attachments } from './attachments.ts'
import { restoreVoters } from './former-voters.ts'
import type { AttachView, HolderView, LeaseView } from './leader-view.ts'
import { Leases } from './leases.ts'
import { LevelRaise } from './level-raise.ts'
import { LogRequests } from './log-requests.ts'
import { type Pending, PendingResponses, type Repeated, type Requester } from './pending-proposals.ts'
import { notLeading, refuse } from './refusals.ts'
import { Renewals } from './renewals.ts'
import { Responses } from './responses.ts'
import { SetChanges } from './set-changes.ts'
import { SlowReleases, waitsForQuiet } from './slow-releases.ts'
import { repairVoters } from './voter-repair.ts'
import { explainWaiting, extentsWithoutPrimary, promotable, type WaitingExtent } from './waiting-extents.ts'

/** A longer gap between two ticks means that this process was paused and received nothing meanwhile. */
const PAUSE_MS = 500

/**
 * The leader of control: changes the map through the log, keeps leases and responds to nodes. Each decision becomes a
 * command, and only committed commands change the map. The node machine calls `endStep` after each of its steps.
 *
 * Promises: the response to a renewal follows a read-index round that began after the renewal arrived, and the map
 * changes up to the revision that it names; none is sent while an expiry of the store is pending (amendment 3). A store
 * expires only after a whole lease and the drift margin without a renewal, counted by this process while it ran
 * (CTL-7).
 */
export class ControlLeader {
  /** What nodes send to the leader of control. */
  static readonly handlers: Handlers<ControlLeader, ToLeader['type']> = {
    register: (leader, ctx, link, message) => leader.onRegister(ctx, link, message),
    renew: (leader, ctx, link, message) => leader.onRenew(ctx, link, message),
    'change-sets': (leader, ctx, link, message) => leader.sets.onChangeSets(ctx, link, message),
    release: (leader, ctx, link, message) => leader.onRelease(ctx, link, message),
    promises: (leader, ctx, _link, message) => leader.onPromises(ctx, message),
    admin: (leader, ctx, link, { request, command }) => leader.onAdmin(ctx, { link, request }, command),
    'get-map': (leader, ctx, link, message) => leader.onGetMap(ctx, link, message),
  }

  private readonly log: ControlLog
  private readonly applier: Applier
  private readonly leaseTable = new Leases()
  private readonly renewals = new Renewals()
  private readonly watchers = new MapWatchers()
  private readonly slowReleases = new SlowReleases()
  private readonly levels: LevelRaise
  readonly pending = new PendingResponses()
  readonly responses = new Responses()
  private readonly attachments = new Attachments(this.responses)
  private readonly logRequests = new LogRequests(this.responses)
  private readonly sets = new SetChanges(this)
  /** The last answered release of each store: a late duplicate must not take effect again. */
  private readonly answeredReleases = new Map<StoreId, { readonly counter: number; readonly request: number }>()
  private lastTick: number | undefined
  /** A store came or left since the extents without a primary were last examined. */
  private lookAtWaiting = false

  /** `openLog` returns a log that calls the listener, though not before it returns. */
  constructor(
    openLog: (listener: ControlLogListener, snapshots: SnapshotPort) => ControlLog,
    extentsPerTick: number = EXTENTS_PER_TICK,
    knows: number = FEATURE_LEVEL,
  ) {
    this.levels = new LevelRaise(knows)
    this.applier = new Applier(extentsPerTick, (ctx, { command }, proposal, result) =>
      this.onApplied(ctx, command, proposal, result),
    )
    this.log = openLog(
      {
        onCommitted: (ctx, entry, proposal) => this.applier.apply(ctx, entry, proposal),
        hasRoom: () => this.applier.hasRoom,
        onProposalLost: (_ctx, proposal) => this.onProposalLost(proposal),
        onReadIndex: (_ctx, read, confirmed) => this.renewals.onReadIndex(read, confirmed),
        onLeadership: (ctx, leads) => this.onLeadership(ctx, leads),
      },
      mapSnapshots({ current: () => this.state, replace: (state) => this.applier.replace(state) }),
    )
  }

  get leads(): boolean {
    return this.log.leads
  }

  /** The map. Only committed entries and snapshots change it. */
  get state(): MapState {
    return this.applier.state
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  onMessage(ctx: Context, link: Link, message: ToLeader): void {
    if (this.applier.isWhole) handle(ControlLeader.handlers, this, ctx, link, message)
    else this.applier.defer(link, message)
  }

  onLinkDown(link: Link): void {
    this.watchers.forget(link)
    this.renewals.forget(link)
    this.applier.forget(link)
  }

  /** `ended`: the last report of each store why it ended. */
  onTick(ctx: Context, ended: Iterable<Ending> = []): void {
    const pauseMs = this.lastTick === undefined ? 0 : ctx.now - this.lastTick
    this.lastTick = ctx.now
    const wasWhole = this.applier.isWhole
    this.applier.onTick(ctx)
    if (!this.leads) return
    // Renewals that arrived meanwhile may be queued behind this tick, or behind the entry that is being applied.
    if (pauseMs > PAUSE_MS) {
      this.leaseTable.extendAll(pauseMs, ctx.now)
      this.attachments.stoodStill(ctx.now)
    }
    if (!wasWhole) return
    this.expireLeases(ctx)
    this.sets.onTick(ctx)
    this.promoteWaiting(ctx)
    this.logRequests.onTick(this.log, this.state)
    repairVoters(ctx, this.log, this.state, this.isHere)
    restoreVoters(ctx, this.log, this.state, this.isHere)
    this.raiseFeatureLevel(ctx)
    this.proposeOnce(ctx, 'note-ending', () => dueNote(this.state, ended))
    this.endSessions(ctx, this.attachments.silent(ctx, this.state))
  }

  /** Sends the map changes of this step, then the responses that name their revision. */
  endStep(ctx: Context): void {
    if (this.applier.isWhole)
      for (const { link, message } of this.applier.takeDeferred()) this.onMessage(ctx, link, message)
    this.renewals.beginRound(ctx, this.log)
    this.log.endStep(ctx)
    if (!this.applier.isWhole) return
    for (const { link, token, store, counter } of this.renewals.takeConfirmed(this.pending.expiring()))
      this.responses.renewed(link, token, this.isUp(store, counter) ? 'OK' : 'NOT_FOUND', this.state.revision)
    this.watchers.push(ctx, this.state)
    this.responses.flush(ctx)
  }

  // ---- views -------------------------------------------------------------------------------------------------------

  leases(now: number): LeaseView[] {
    return this.leaseTable.views(now)
  }

  /** Extents without a primary that can serve, each with the reason and the stores that it waits for. */
  waitingExtents(): WaitingExtent[] {
    return extentsWithoutPrimary(this.state).map((record) => explainWaiting(this.state, record))
  }

  /** Sessions that hold volumes; none while another voter leads, which hears of them. */
  readonly holders = (now: number): HolderView[] => (this.leads ? this.attachments.holders(now, this.state) : [])

  waitingAttachments(): AttachView[] {
    return this.attachments.views()
  }

  // ---- registration and leases -------------------------------------------------------------------------------------

  private onRegister(ctx: Context, link: Link, message: Register): void {
    const requester = { link, request: message.request }
    const { store, incarnation, cluster } = message
    if (this.leads && cluster !== this.state.cluster)
      return this.responses.registered(requester, 'HANDSHAKE', `this is not cluster ${cluster}`, this.state.revision)
    if (this.pending.repeatsRegistration(store, incarnation, requester)) return
    const command = registerCommand(message, this.live(ctx))
    const refusal = this.leads ? knownRefusal(this.state, command) : undefined
    if (refusal !== undefined)
      return this.responses.registered(requester, refusal.code, refusal.message, this.state.revision)
    this.propose(ctx, command, { kind: 'register', store, incarnation, requester })
  }

  private onRenew(ctx: Context, link: Link, message: Renew): void {
    const { store, counter, token, revision } = message
    if (!this.leads) return this.responses.renewed(link, token, 'NO_CONTROL', 0)
    if (!this.isUp(store, counter)) return this.responses.renewed(link, token, 'NOT_FOUND', this.state.revision)
    if (this.leaseTable.renewed(store, counter, ctx.now, revision, message)) this.lookAtWaiting = true
    this.watchers.watch(link, revision)
    this.renewals.add({ link, token, store, counter })
    this.attachments.renewed(this.state, store, revision)
    if (message.cleared === true)
      this.proposeOnce(ctx, 'clear-suspicion', () => clearSuspicion(this.state, message, () => this.candidates(ctx)))
  }

  /** The store registered as this incarnation and holds a lease. */
  private isUp(store: StoreId, counter: number): boolean {
    return !this.isDown(store) && this.state.nodes.get(store)?.incarnation.counter === counter
  }
  /** A store that is not in the map counts as down. */
  private readonly isDown = (store: StoreId): boolean => (this.state.nodes.get(store)?.state ?? 'down') === 'down'

  private expireLeases(ctx: Context): void {
    const over = this.leaseTable.over(ctx.now)
    if (over.length === 0 || this.pending.has('expire')) return
    this.propose(
      ctx,
      { do: 'expire', stores: over.map(({ store, counter }) => ({ store, counter })), live: this.candidates(ctx) },
      { kind: 'expire', stores: over.map(({ store }) => store) },
    )
    // A leader that passes leadership on proposes nothing: the next one does, and reports it.
    if (!this.pending.has('expire')) return
    for (const { store, receivedAt } of over) ctx.event('warn', 'store-expired', { store, ageMs: ctx.now - receivedAt })
  }

  /** Stores that may become primary now: live, and heard of late. A silent one renews soon, or its lease runs out. */
  private candidates(ctx: Context): StoreId[] {
    return this.leaseTable.heard(this.live(ctx), ctx.now)
  }

  private live(ctx: Context): StoreId[] {
    const expiring = this.pending.expiring()
    return this.leaseTable.live(ctx.now).filter((store) => !expiring.has(store))
  }

  private raiseFeatureLevel(ctx: Context): void {
    const { state, log, leaseTable, pending } = this
    const due = this.levels.due(ctx, state, log.members, leaseTable, pending)
    if (due !== undefined) this.propose(ctx, due, { kind: 'raise-feature-level' })
  }

  private onGetMap(ctx: Context, link: Link, message: GetMap): void {
    // The map of a voter that does not lead may be empty: the node asks the leader next.
    if (this.leads) this.watchers.ask(ctx, this.state, link, message.have, message.watch)
  }

  // ---- primaries and in-sync sets ----------------------------------------------------------------------------------

  /** Examines extents without a primary only after a store came or left, or the space of its disk changed. */
  private promoteWaiting(ctx: Context): void {
    if (!this.lookAtWaiting) return
    this.proposeOnce(ctx, 'promote', () => {
      const live = this.candidates(ctx)
      const { extents, more } = promotable(this.state, new Set(live))
      this.lookAtWaiting = more
      // Every command ends by giving the assignments of removed stores to other stores.
      return extents.length === 0 && this.state.gone.size === 0 ? undefined : { do: 'promote', extents, live }
    })
  }

  /** The store registered or renewed with this leader, and its lease has not run out. */
  readonly isHere = (store: StoreId): boolean => this.leaseTable.get(store)?.confirmed === true

  private onRelease(ctx: Context, link: Link, message: Release): void {
    const requester = { link, request: message.request }
    const { store, counter, extents, reason } = message
    const answered = this.answeredReleases.get(store)
    if (answered?.counter === counter && message.request <= answered.request)
      return this.responses.released(requester, 'OK')
    if (this.pending.repeats('release', store, requester)) return
    const candidates = this.candidates(ctx)
    // The store repeats its request; by then each silent store has renewed, or its lease has run out.
    if (waitsForQuiet(this.state, message, this.live(ctx), candidates)) return
    this.propose(
      ctx,
      {
        do: 'release',
        store,
        counter,
        extents: reason === 'slow' ? this.slowReleases.avoid(extents, store, ctx.now) : extents,
        reason,
        live: candidates,
      },
      { kind: 'release', store, counter, requester },
    )
  }

  private onPromises(ctx: Context, message: Promises): void {
    this.proposeOnce(ctx, 'raise-epochs', () => raiseEpochs(ctx, this.state, message))
  }

  // ---- volumes and attachments -------------------------------------------------------------------------------------

  private onAdmin(ctx: Context, requester: Requester, command: AdminCommand): void {
    const known = this.leads ? this.attachments.answerAtOnce(ctx, this.state, requester.link, command) : undefined
    if (known !== undefined) return this.responses.adminDone(requester, known, this.state.revision)
    if (command.do === 'renew-attachment') return this.responses.adminDone(requester, notLeading(), 0)
    if (!isLogRequest(command)) {
      const wanted = commandOf(command, this.live(ctx))
      if (!this.leads) return this.propose(ctx, wanted, { kind: 'admin', requester, command })
      this.endSessions(ctx, this.attachments.yielding(ctx, this.state, wanted))
      const judged = this.attachments.judge(ctx, this.state, command, wanted)
      if ('code' in judged) return this.responses.adminDone(requester, judged, this.state.revision)
      return this.propose(ctx, judged, { kind: 'admin', requester, command })
    }
    const outcome = this.logRequests.ask(ctx, this.log, this.state, requester, command)
    if (outcome === undefined) return
    if ('proposal' in outcome) this.pending.add(outcome.proposal, { kind: 'admin', requester, command })
    else this.responses.adminDone(requester, outcome, this.state.revision)
  }

  private endSessions(ctx: Context, commands: readonly Extract<Command, { do: 'detach' }>[]): void {
    for (const command of commands) {
      ctx.event('info', 'session-silent', { volume: command.volume, session: command.session })
      this.propose(ctx, command, { kind: 'end-session' })
    }
  }

  // ---- the log -----------------------------------------------------------------------------------------------------

  propose(ctx: Context, command: Command, pending: Pending): void {
    const early = tooEarly(this.state, command)
    if (early !== undefined && this.leads) return this.answer(pending, early)
    const proposal = this.log.propose(ctx, this.leaseTable.nameFilling(command))
    if (proposal === undefined) refuse(this.responses, pending)
    else this.pending.add(proposal, pending)
  }

  private proposeOnce(ctx: Context, kind: Repeated, command: () => Command | undefined): void {
    const due = this.leads && !this.pending.has(kind) ? command() : undefined
    if (due !== undefined) this.propose(ctx, due, { kind })
  }

  private onApplied(ctx: Context, command: Command, proposal: ProposalId | undefined, result: CommandResult): void {
    if (this.leads) this.afterApply(ctx, command, result)
    const pending = this.pending.take(proposal)
    if (pending !== undefined) this.answer(pending, result)
  }

  /** Updates what the leader keeps in memory, also for commands of earlier leaders. */
  private afterApply(ctx: Context, command: Command, result: CommandResult): void {
    this.attachments.onApplied(ctx, command)
    if (command.do === 'register' && result.code === 'OK') {
      const { counter } = command.incarnation
      if (this.leaseTable.get(command.store)?.counter !== counter) this.attachments.ended(this.state, command.store)
      this.leaseTable.registered(command.store, counter, ctx.now)
      this.lookAtWaiting = true
    }
    if (command.do === 'expire') for (const { store } of command.stores) if (this.isDown(store)) this.endLease(store)
    this.lookAtWaiting ||= ['expire', 'raise-epochs', 'clear-suspicion'].includes(command.do)
    if (command.do === 'change-sets')
      for (const { extent, code } of result.sets ?? []) if (code === 'OK') this.slowReleases.forget(extent)
    if (command.do !== 'register' && command.do !== 'promote' && command.do !== 'clear-suspicion') return
    for (const id of result.promoted ?? []) {
      const record = this.state.extents.get(id)
      invariant(record !== undefined, `extent ${id} got a primary and is not in the map`)
      this.sets.takenOver(ctx, record)
    }
  }

  private readonly mayHoldLease = (store: StoreId): boolean => this.leaseTable.get(store) !== undefined

  private endLease(store: StoreId): void {
    this.leaseTable.end(store)
    this.attachments.ended(this.state, store)
  }

  private answer(pending: Pending, result: CommandResult): void {
    const { revision } = this.state
    switch (pending.kind) {
      case 'register':
        return this.responses.registered(pending.requester, result.code, result.message, revision)
      case 'change-sets':
        return this.responses.setsChanged(pending.requester, result.sets ?? [])
      case 'release':
        if (result.overtaken === true) return this.responses.released(pending.requester, 'CONFLICT')
        this.answeredReleases.set(pending.store, { counter: pending.counter, request: pending.requester.request })
        return this.responses.released(pending.requester, result.code)
      case 'admin':
        return this.attachments.onCommitted(this.state, pending.requester, pending.command, result, this.mayHoldLease)
      default:
        return
    }
  }

  private onProposalLost(proposal: ProposalId): void {
    const pending = this.pending.take(proposal)
    if (pending !== undefined) refuse(this.responses, pending)
  }

  private onLeadership(ctx: Context, leads: boolean): void {
    this.renewals.clear()
    this.sets.clear()
    this.answeredReleases.clear()
    this.slowReleases.clear()
    this.logRequests.end()
    this.attachments.begin(ctx.now)
    if (!leads) return
    this.leaseTable.grantAll(this.state, ctx.now)
    this.levels.begin(ctx.now)
    this.lookAtWaiting = true
    ctx.event('info', 'control-leads', { revision: this.state.revision })
  }
}
