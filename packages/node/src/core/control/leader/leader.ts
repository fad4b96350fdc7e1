import type { AdminCommand, ChangeSets, Register, Release, Renew, SetChange, StoreId } from '@ashlar/proto'
import { FEATURE_LEVEL, FEATURES, invariant } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import {
  type CommandResult,
  commandOf,
  isLogRequest,
  knownRefusal,
  raiseEpochs,
  registerCommand,
  tooEarly,
  withoutComplete,
} from '../commands/index.ts'
import type { Command, ControlLog, ControlLogListener, ProposalId, SnapshotPort } from '../log/index.ts'
import { type MapState, MapWatchers, mapSnapshots } from '../map/index.ts'
import { Applier, EXTENTS_PER_TICK, type LeaderMessage } from './applier.ts'
import { Attachments } from './attachments.ts'
import { HeldShrinks } from './deferred-shrinks.ts'
import type { AttachView, LeaseView } from './leader-view.ts'
import { Leases } from './leases.ts'
import { LevelRaise } from './level-raise.ts'
import { LogRequests } from './log-requests.ts'
import { type Asker, type Owed, PendingResponses } from './pending-proposals.ts'
import { notLeading, refuse } from './refusals.ts'
import { Renewals } from './renewals.ts'
import { Answers } from './responses.ts'
import { SlowReleases, waitsForQuiet } from './slow-releases.ts'
import { repairVoters } from './voter-repair.ts'
import { explainWaiting, extentsWithoutPrimary, promotable, type WaitingExtent } from './waiting-extents.ts'

/** A longer pause between two ticks means that this process stood still, and heard nobody meanwhile. */
const STANDSTILL_MS = 500

/**
 * The leader of control: owns the map by way of the log, keeps leases, and answers nodes. Calls come from the node
 * machine, `endStep` after each of its steps. What it decides becomes a command; only committed commands change anything.
 *
 * Promises: a renewal is answered only after a read-index round begun after it arrived, never while an expiry of its
 * store is on its way, and after the map changes that the answer's revision names (amendment 3). A store is called down
 * only after a whole lease and the drift margin without a renewal, counted by this process while it ran (CTL-7).
 */
export class ControlLeader {
  private readonly log: ControlLog
  private readonly applier: Applier
  private readonly leaseTable = new Leases()
  private readonly renewals = new Renewals()
  private readonly watchers = new MapWatchers()
  private readonly heldShrinks = new HeldShrinks()
  private readonly slowReleases = new SlowReleases()
  private readonly levels: LevelRaise
  private readonly owed = new PendingResponses()
  private readonly answers = new Answers()
  private readonly attachments = new Attachments(this.answers)
  private readonly logRequests = new LogRequests(this.answers)
  /** The last answered release of each store: a duplicate that comes late must not take effect again. */
  private readonly answeredReleases = new Map<StoreId, { readonly counter: number; readonly request: number }>()
  private lastTick: number | undefined
  /** Somebody came or went since the extents without a primary were looked at. */
  private lookAtWaiting = false

  /** `openLog` makes the log around the listener that it is given, and may not call that before it returns. */
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

  /** The map. Only committed entries change it, and a snapshot that takes the place of older ones; everybody else reads. */
  get state(): MapState {
    return this.applier.state
  }

  // ---- inputs ----------------------------------------------------------------------------------------------------

  onMessage(ctx: Context, link: Link, message: LeaderMessage): void {
    if (!this.applier.isWhole) return this.applier.hold(link, message)
    switch (message.type) {
      case 'register':
        return this.onRegister(ctx, link, message)
      case 'renew':
        return this.onRenew(ctx, link, message)
      case 'change-sets':
        return this.onChangeSets(ctx, link, message)
      case 'release':
        return this.onRelease(ctx, link, message)
      case 'promises': {
        const command = this.leads && !this.owed.has('raise-epochs') && raiseEpochs(ctx, this.state, message)
        return command ? this.propose(ctx, command, { kind: 'raise-epochs' }) : undefined
      }
      case 'admin':
        return this.onAdmin(ctx, { link, request: message.request }, message.command)
      case 'get-map':
        // A voter that does not lead may know nothing yet; whoever asks it asks the leader next.
        if (!this.leads) return
        return this.watchers.ask(ctx, this.state, link, message.have, message.watch)
    }
  }

  onLinkDown(link: Link): void {
    this.watchers.forget(link)
    this.renewals.forget(link)
    this.applier.forget(link)
  }

  onTick(ctx: Context): void {
    const pauseMs = this.lastTick === undefined ? 0 : ctx.now - this.lastTick
    this.lastTick = ctx.now
    const wasWhole = this.applier.isWhole
    this.applier.onTick(ctx)
    if (!this.leads) return
    // Renewals that came meanwhile may be waiting behind this very tick, or behind the entry that is being applied.
    if (pauseMs > STANDSTILL_MS) {
      this.leaseTable.extendAll(pauseMs, ctx.now)
      this.attachments.stoodStill(ctx.now)
    }
    if (!wasWhole) return
    this.expireLeases(ctx)
    this.proposeDueShrinks(ctx)
    this.promoteWaiting(ctx)
    this.logRequests.onTick(this.log, this.state)
    repairVoters(ctx, this.log, this.state, (store) => this.isHere(store))
    this.raiseFeatureLevel(ctx)
    this.endSessions(ctx, this.attachments.silent(ctx, this.state))
  }

  /** Sends what this step gave rise to: map changes first, then the answers that speak of them. */
  endStep(ctx: Context): void {
    if (this.applier.isWhole)
      for (const { link, message } of this.applier.takeHeld()) this.onMessage(ctx, link, message)
    this.renewals.beginRound(ctx, this.log)
    this.log.endStep(ctx)
    if (!this.applier.isWhole) return
    for (const { link, token, store, counter } of this.renewals.takeConfirmed(this.owed.expiring()))
      this.answers.renewed(link, token, this.isUp(store, counter) ? 'OK' : 'NOT_FOUND', this.state.revision)
    this.watchers.push(ctx, this.state)
    this.answers.flush(ctx)
  }

  // ---- what people see ---------------------------------------------------------------------------------------------

  leases(now: number): LeaseView[] {
    return this.leaseTable.views(now)
  }

  /** Extents that nobody serves, each with the reason and whom it waits for. */
  waitingExtents(): WaitingExtent[] {
    return extentsWithoutPrimary(this.state).map((record) => explainWaiting(this.state, record))
  }

  waitingAttachments(): AttachView[] {
    return this.attachments.views()
  }

  // ---- registration and leases ---------------------------------------------------------------------------------------

  private onRegister(ctx: Context, link: Link, message: Register): void {
    const asker = { link, request: message.request }
    const { store, incarnation, cluster } = message
    if (this.leads && cluster !== this.state.cluster)
      return this.answers.registered(asker, 'HANDSHAKE', `this is not cluster ${cluster}`, this.state.revision)
    if (this.owed.repeatsRegistration(store, incarnation, asker)) return
    const command = registerCommand(message, this.live(ctx))
    const refusal = this.leads ? knownRefusal(this.state, command) : undefined
    if (refusal !== undefined) return this.answers.registered(asker, refusal.code, refusal.message, this.state.revision)
    this.propose(ctx, command, { kind: 'register', store, incarnation, asker })
  }

  private onRenew(ctx: Context, link: Link, message: Renew): void {
    const { store, counter, token, revision } = message
    if (!this.leads) return this.answers.renewed(link, token, 'NO_CONTROL', 0)
    if (!this.isUp(store, counter)) return this.answers.renewed(link, token, 'NOT_FOUND', this.state.revision)
    if (this.leaseTable.renewed(store, counter, ctx.now, revision, message)) this.lookAtWaiting = true
    this.watchers.watch(link, revision)
    this.renewals.add({ link, token, store, counter })
    this.attachments.renewed(this.state, store, revision)
  }

  /** Registered in this incarnation and not down. */
  private isUp(store: StoreId, counter: number): boolean {
    return !this.isDown(store) && this.state.nodes.get(store)?.incarnation.counter === counter
  }
  /** Also when it left the map by that. */
  private readonly isDown = (store: StoreId): boolean => (this.state.nodes.get(store)?.state ?? 'down') === 'down'

  private expireLeases(ctx: Context): void {
    const over = this.leaseTable.over(ctx.now)
    if (over.length === 0 || this.owed.has('expire')) return
    for (const { store, receivedAt } of over) ctx.event('warn', 'store-expired', { store, ageMs: ctx.now - receivedAt })
    this.propose(
      ctx,
      { do: 'expire', stores: over.map(({ store, counter }) => ({ store, counter })), live: this.candidates(ctx) },
      { kind: 'expire', stores: over.map(({ store }) => store) },
    )
  }

  /** Stores that may be named primary now. One that is quiet is, once it renews, or is down by then. */
  private candidates(ctx: Context): StoreId[] {
    return this.leaseTable.heard(this.live(ctx), ctx.now)
  }

  private live(ctx: Context): StoreId[] {
    const expiring = this.owed.expiring()
    return this.leaseTable.live(ctx.now).filter((store) => !expiring.has(store))
  }

  private raiseFeatureLevel(ctx: Context): void {
    const command = this.levels.due(ctx, this.state, this.log.members, this.leaseTable, this.owed)
    if (command !== undefined) this.propose(ctx, command, { kind: 'raise-feature-level' })
  }

  // ---- primaries and in-sync sets --------------------------------------------------------------------------------------

  /** Extents that nobody serves are looked at again when a store, or room on its disk, came or went, and not otherwise. */
  private promoteWaiting(ctx: Context): void {
    if (!this.lookAtWaiting || this.owed.has('promote')) return
    const live = this.candidates(ctx)
    const { extents, more } = promotable(this.state, new Set(live))
    this.lookAtWaiting = more
    // What follows from every command gives the places of stores that are gone to whoever came.
    if (extents.length === 0 && this.state.gone.size === 0) return
    this.propose(ctx, { do: 'promote', extents, live }, { kind: 'promote' })
  }

  private onChangeSets(ctx: Context, link: Link, message: ChangeSets): void {
    const asker = { link, request: message.request }
    const { store, counter, changes } = message
    if (!this.leads || this.owed.repeats('change-sets', store, asker)) return
    const here = (member: StoreId) => this.isHere(member)
    const now = changes.filter(
      (change) => !this.heldShrinks.hold(this.state, { ...asker, store, counter, change }, ctx.now, here),
    )
    if (now.length > 0) this.proposeSets(ctx, asker, store, counter, now)
  }

  private proposeSets(ctx: Context, asker: Asker, store: StoreId, counter: number, sets: readonly SetChange[]): void {
    const known = this.state.featureLevel >= FEATURES.completeStores ? sets : sets.map(withoutComplete)
    this.propose(ctx, { do: 'change-sets', store, counter, changes: known }, { kind: 'change-sets', store, asker })
  }

  private proposeDueShrinks(ctx: Context): void {
    for (const { shrink, overtaken } of this.heldShrinks.due(this.state, ctx.now, (store) => this.isHere(store))) {
      const { store, counter, change } = shrink
      const record = this.state.extents.get(change.extent)
      if (overtaken) this.answers.setsChanged(shrink, [{ extent: change.extent, code: 'CONFLICT', record }])
      else this.proposeSets(ctx, shrink, store, counter, [change])
    }
  }

  /** The store registered or renewed with this leader, and its lease has not run out. */
  private isHere(store: StoreId): boolean {
    return this.leaseTable.get(store)?.confirmed === true
  }

  private onRelease(ctx: Context, link: Link, message: Release): void {
    const asker = { link, request: message.request }
    const { store, counter, extents, reason } = message
    const answered = this.answeredReleases.get(store)
    if (answered?.counter === counter && message.request <= answered.request) return this.answers.released(asker, 'OK')
    if (this.owed.repeats('release', store, asker)) return
    const candidates = this.candidates(ctx)
    // It asks again, and by then who is quiet was heard or is down.
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
      { kind: 'release', store, counter, asker },
    )
  }

  // ---- volumes and attachments -----------------------------------------------------------------------------------------

  private onAdmin(ctx: Context, asker: Asker, command: AdminCommand): void {
    const known = this.leads ? this.attachments.answerAtOnce(ctx, this.state, command) : undefined
    if (known !== undefined) return this.answers.adminDone(asker, known, this.state.revision)
    if (command.do === 'renew-attachment') return this.answers.adminDone(asker, notLeading(), 0)
    if (!isLogRequest(command)) {
      const wanted = commandOf(command, this.live(ctx))
      if (this.leads) this.endSessions(ctx, this.attachments.yielding(ctx, this.state, wanted))
      return this.propose(ctx, wanted, { kind: 'admin', asker, command })
    }
    const outcome = this.logRequests.ask(ctx, this.log, this.state, asker, command)
    if (outcome === undefined) return
    if ('proposal' in outcome) this.owed.add(outcome.proposal, { kind: 'admin', asker, command })
    else this.answers.adminDone(asker, outcome, this.state.revision)
  }

  private endSessions(ctx: Context, commands: readonly Extract<Command, { do: 'detach' }>[]): void {
    for (const command of commands) {
      ctx.event('info', 'session-silent', { volume: command.volume, session: command.session })
      this.propose(ctx, command, { kind: 'end-session' })
    }
  }

  // ---- the log -----------------------------------------------------------------------------------------------------------

  private propose(ctx: Context, command: Command, owed: Owed): void {
    const early = tooEarly(this.state, command)
    if (early !== undefined && this.leads) return this.answer(owed, early)
    const proposal = this.log.propose(ctx, this.leaseTable.nameFilling(command))
    if (proposal === undefined) refuse(this.answers, owed)
    else this.owed.add(proposal, owed)
  }

  private onApplied(ctx: Context, command: Command, proposal: ProposalId | undefined, result: CommandResult): void {
    if (this.leads) this.afterApply(ctx, command, result)
    const owed = this.owed.take(proposal)
    if (owed !== undefined) this.answer(owed, result)
  }

  /** What the leader keeps in memory follows the map, whoever proposed the command. */
  private afterApply(ctx: Context, command: Command, result: CommandResult): void {
    this.attachments.onApplied(ctx, command)
    if (command.do === 'register' && result.code === 'OK') {
      const { counter } = command.incarnation
      if (this.leaseTable.get(command.store)?.counter !== counter) this.attachments.ended(this.state, command.store)
      this.leaseTable.registered(command.store, counter, ctx.now)
      this.lookAtWaiting = true
    }
    if (command.do === 'expire') for (const { store } of command.stores) if (this.isDown(store)) this.endLease(store)
    this.lookAtWaiting ||= command.do === 'expire' || command.do === 'raise-epochs'
    if (command.do === 'change-sets')
      for (const { extent, code } of result.sets ?? []) if (code === 'OK') this.slowReleases.forget(extent)
    if (command.do !== 'register' && command.do !== 'promote') return
    for (const id of result.promoted ?? []) {
      const record = this.state.extents.get(id)
      invariant(record !== undefined, `extent ${id} got a primary and is gone`)
      this.heldShrinks.takenOver(record, ctx.now, (store) => this.isHere(store))
    }
  }

  private readonly mayHoldLease = (store: StoreId): boolean => this.leaseTable.get(store) !== undefined

  private endLease(store: StoreId): void {
    this.leaseTable.end(store)
    this.attachments.ended(this.state, store)
  }

  private answer(owed: Owed, result: CommandResult): void {
    const { revision } = this.state
    switch (owed.kind) {
      case 'register':
        return this.answers.registered(owed.asker, result.code, result.message, revision)
      case 'change-sets':
        return this.answers.setsChanged(owed.asker, result.sets ?? [])
      case 'release':
        if (result.overtaken === true) return this.answers.released(owed.asker, 'CONFLICT')
        this.answeredReleases.set(owed.store, { counter: owed.counter, request: owed.asker.request })
        return this.answers.released(owed.asker, result.code)
      case 'admin':
        return this.attachments.onCommitted(this.state, owed.asker, owed.command, result, this.mayHoldLease)
      default:
        return
    }
  }

  private onProposalLost(proposal: ProposalId): void {
    const owed = this.owed.take(proposal)
    if (owed !== undefined) refuse(this.answers, owed)
  }

  private onLeadership(ctx: Context, leads: boolean): void {
    this.renewals.clear()
    this.heldShrinks.clear()
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
