import type { ToLeader } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import { type CommandResult, CommandRun } from '../commands/index.ts'
import type { LogEntry, ProposalId } from '../log/index.ts'
import { MapState } from '../map/index.ts'

/** Extents that commands look at between two ticks: 10 to 30 ms of one core, so that no event loop is held up for 50 ms. */
export const EXTENTS_PER_TICK = 2048

interface Current {
  readonly run: CommandRun
  readonly entry: LogEntry
  readonly proposal: ProposalId | undefined
}

type OnApplied = (ctx: Context, entry: LogEntry, proposal: ProposalId | undefined, result: CommandResult) => void

/**
 * Applies committed entries to the map, no more between two ticks than an event loop may be held up for: a command that
 * concerns more extents goes on at the next tick. What the map holds meanwhile is half of a change, so messages that ask for it
 * or would change it are kept until then.
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

  /** The map is that of a revision, and not on its way from one to another. */
  get isWhole(): boolean {
    return this.current === undefined
  }

  /** False: entries that are committed wait for the next tick. */
  get hasRoom(): boolean {
    return this.isWhole && this.left > 0
  }

  onTick(ctx: Context): void {
    this.left = this.extentsPerTick
    this.goOn(ctx, this.left)
  }

  /** Applies an entry, or begins to. The one before it is finished first, whatever that takes: a log that asks `hasRoom` never does that. */
  apply(ctx: Context, entry: LogEntry, proposal: ProposalId | undefined): void {
    this.goOn(ctx, Number.POSITIVE_INFINITY)
    this.current = { run: new CommandRun(this.mapState, entry.command), entry, proposal }
    this.goOn(ctx, Math.max(1, this.left))
  }

  /** A snapshot takes the place of the map, and of whatever was being done to it. */
  replace(state: MapState): void {
    this.mapState = state
    this.current = undefined
  }

  // ---- messages meanwhile ------------------------------------------------------------------------------------------

  defer(link: Link, message: ToLeader): void {
    this.deferred.push({ link, message })
  }

  forget(link: Link): void {
    this.deferred = this.deferred.filter((deferred) => deferred.link !== link)
  }

  /** What came in while the map was not whole, in its order. */
  takeDeferred(): readonly { readonly link: Link; readonly message: ToLeader }[] {
    const deferred = this.deferred
    this.deferred = []
    return deferred
  }

  private goOn(ctx: Context, budget: number): void {
    const current = this.current
    if (current === undefined) return
    const { result, spent } = current.run.goOn(budget)
    this.left -= spent
    if (result === undefined) return
    this.current = undefined
    this.onApplied(ctx, current.entry, current.proposal, result)
  }
}
