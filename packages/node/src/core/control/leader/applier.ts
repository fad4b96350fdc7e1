import type { ToLeader } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import { type CommandResult, CommandRun } from '../commands/index.ts'
import type { LogEntry, ProposalId } from '../log/index.ts'
import { MapState } from '../map/index.ts'

/**
 * Extents that commands visit between two ticks: 10 to 30 ms of one core, so that the event loop is not blocked for 50
 * ms.
 */
export const EXTENTS_PER_TICK = 2048

interface Current {
  readonly run: CommandRun
  readonly entry: LogEntry
  readonly proposal: ProposalId | undefined
}

type OnApplied = (ctx: Context, entry: LogEntry, proposal: ProposalId | undefined, result: CommandResult) => void

/**
 * Applies committed entries to the map, a limited number of extents between two ticks: a larger command continues at
 * the next tick. Until then the map contains half of a change, so messages to the leader are deferred.
 */
export class Applier {
  private readonly extentsPerTick: number
  private readonly onApplied: OnApplied
  private mapState = new MapState()
  private left: number
  private current: Current | undefined
  private deferred: { readonly link: Link; readonly message: ToLeader }[] = []

  constructor(extentsPerTick: number, onApplied: OnApplied) {
    this.extentsPerTick = extentsPerTick
    this.left = extentsPerTick
    this.onApplied = onApplied
  }

  get state(): MapState {
    return this.mapState
  }

  /** True when no command is half applied. */
  get isWhole(): boolean {
    return this.current === undefined
  }

  /** False: committed entries wait for the next tick. */
  get hasRoom(): boolean {
    return this.isWhole && this.left > 0
  }

  onTick(ctx: Context): void {
    this.left = this.extentsPerTick
    this.proceed(ctx, this.left)
  }

  /**
   * Begins to apply an entry. Finishes the previous one at once, which does not occur with a log that calls `hasRoom`.
   */
  apply(ctx: Context, entry: LogEntry, proposal: ProposalId | undefined): void {
    this.proceed(ctx, Number.POSITIVE_INFINITY)
    this.current = { run: new CommandRun(this.mapState, entry.command), entry, proposal }
    this.proceed(ctx, Math.max(1, this.left))
  }

  /** A snapshot replaces the map, and ends a half applied command. */
  replace(state: MapState): void {
    this.mapState = state
    this.current = undefined
  }

  // ---- deferred messages -------------------------------------------------------------------------------------------

  defer(link: Link, message: ToLeader): void {
    this.deferred.push({ link, message })
  }

  forget(link: Link): void {
    this.deferred = this.deferred.filter((deferred) => deferred.link !== link)
  }

  /** Messages that arrived during a half applied command, in order. */
  takeDeferred(): readonly { readonly link: Link; readonly message: ToLeader }[] {
    const deferred = this.deferred
    this.deferred = []
    return deferred
  }

  private proceed(ctx: Context, budget: number): void {
    const current = this.current
    if (current === undefined) return
    const { result, spent } = current.run.continue(budget)
    this.left -= spent
    if (result === undefined) return
    this.current = undefined
    this.onApplied(ctx, current.entry, current.proposal, result)
  }
}
