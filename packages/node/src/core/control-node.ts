import type { RaftMessage, StoreId, Voter } from '@ashlar/proto'
import { invariant, TIMERS } from '@ashlar/proto'
import type { Joined } from './bootstrap/index.ts'
import {
  type Command,
  ControlLeader,
  commandLevel,
  EXTENTS_PER_TICK,
  type LocalControlLog,
  type MakeLocalLog,
} from './control/index.ts'
import type { Links } from './links.ts'
import type { Context, Link, NodeStart } from './machine.ts'
import { RaftMachine, type RaftPorts, type RaftView } from './raft/index.ts'

/**
 * Control on a node that keeps its log. Every voter applies the log, and one of them leads.
 */
export class ControlNode {
  readonly leader: ControlLeader
  private readonly links: Links
  private local: LocalControlLog | undefined
  private raft: RaftMachine | undefined
  private passedOn = false

  constructor(start: NodeStart, joined: Joined, links: Links, makeLocalLog?: MakeLocalLog) {
    this.links = links
    this.leader = new ControlLeader(
      (listener, snapshots) => {
        this.local = makeLocalLog?.(joined.log, listener)
        if (this.local !== undefined) return this.local
        const { store: self, hardState, snapshot, logOptions: options = {} } = start
        this.raft = new RaftMachine(
          { self, hardState, snapshot, entries: joined.log, snapshots, options },
          this.ports(),
          listener,
        )
        return this.raft
      },
      EXTENTS_PER_TICK,
      start.knows,
    )
  }

  /** True when this store keeps the log of its cluster. */
  static isNeeded(start: NodeStart, joined: Joined): boolean {
    const hasLog = joined.log.length > 0 || start.snapshot !== undefined || start.hardState !== undefined
    return hasLog || (joined.voters.length > 1 && joined.voters.some(({ store }) => store === start.store))
  }

  /** True for messages of a leader only: a store without a log starts one on the first of them. */
  static isInvitation(message: RaftMessage): boolean {
    return message.type === 'append-entries' || message.type === 'install-snapshot'
  }

  /**
   * Before the process ends: transfers leadership to the voter that has most of the log, which saves an election. True
   * while the transfer is in progress.
   */
  passLeadershipOn(ctx: Context): boolean {
    const raft = this.raft
    if (raft?.leads !== true || this.passedOn) return raft?.transferring ?? false
    this.passedOn = true
    const { followers, members } = raft.view(ctx.now)
    const [next] = followers
      .filter(({ store, state }) => state === 'replicate' && members.voters.some((voter) => voter.store === store))
      .filter(({ heardMsAgo }) => heardMsAgo < 2 * TIMERS.heartbeatMs)
      .sort((a, b) => b.match - a.match)
    return next !== undefined && raft.transferLeadership(ctx, next.store) === undefined
  }

  start(ctx: Context): void {
    this.local?.start(ctx)
    this.raft?.start(ctx)
  }

  /** The leader known to this voter; undefined with a local log. */
  get leaderStore(): StoreId | undefined {
    return this.raft?.leader
  }

  /** The voters by the newest entry of this log; empty with a local log. */
  get voters(): readonly Voter[] {
    return this.raft?.members.voters ?? []
  }

  /** Index of the last entry that raft delivered here; 0 with a local log. */
  get applied(): number {
    return this.raft?.applied ?? 0
  }

  raftView(now: number): RaftView | undefined {
    return this.raft?.view(now)
  }

  onTick(ctx: Context): void {
    this.raft?.onTick(ctx)
    this.leader.onTick(ctx, this.links.ends.all())
  }

  onLogAppended(ctx: Context, index: number): void {
    this.local?.onAppended(ctx, index)
  }

  onPersisted(ctx: Context, token: number): void {
    invariant(this.raft !== undefined, 'a request of raft was written, and there is no raft')
    this.raft.onPersisted(ctx, token)
  }

  /** Drops messages whose sender is not the store at the other end of the link. */
  onRaftMessage(ctx: Context, link: Link, message: RaftMessage): void {
    if (this.links.storeOf(link) === message.from) this.raft?.onMessage(ctx, message)
  }

  /** `store`: the store that was at the other end. */
  onLinkDown(ctx: Context, link: Link, store: StoreId | undefined): void {
    this.leader.onLinkDown(link)
    if (store !== undefined && !this.links.connected().includes(store)) this.raft?.onPeerLost(ctx, store)
  }

  private ports(): RaftPorts {
    return {
      // Without a connection the message is lost: raft retries whatever needs a response.
      send: (ctx, message) => {
        const link = this.links.dialed(message.to)
        if (link !== undefined && this.links.levelOf(link) >= levelOf(message))
          ctx.emit({ type: 'send', link, message })
      },
      persist: (ctx, request) => ctx.emit({ type: 'raft-persist', request }),
    }
  }
}

/** Feature level that a member needs: a downgraded one must not get commands that it cannot apply (A2.21-3). */
function levelOf(message: RaftMessage): number {
  if (message.type !== 'append-entries') return 0
  return message.entries.reduce((level, { command }) => Math.max(level, commandLevel(command as Command)), 0)
}
