import { type AdminCommand, FEATURES, type StoreId } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { type CommandResult, done, refused } from '../commands/index.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { type AttachWait, AttachWaits, attachResult } from './attach-waits.ts'
import type { AttachView } from './leader-view.ts'
import type { Requester } from './pending-proposals.ts'
import { Presence } from './presence.ts'
import { notLeading } from './refusals.ts'
import type { Responses } from './responses.ts'

type Detach = Extract<Command, { do: 'detach' }>

/** Who is answered once a change of holders has reached every primary; `ends`: it ended a session instead of giving one the right. */
interface Waiting {
  readonly requester: Requester
  readonly ends: boolean
}

/** What the leader keeps of attachments beside the map: who waits for one to be complete, and which holders are there. */
export class Attachments {
  private readonly waits = new AttachWaits<Waiting>()
  private readonly presence = new Presence()
  private readonly responses: Responses

  constructor(responses: Responses) {
    this.responses = responses
  }

  /** Leadership came or went: nobody who waits is answered by this leader. */
  begin(now: number): void {
    for (const { answer } of this.waits.clear()) this.responses.adminDone(answer.requester, notLeading(), 0)
    this.presence.begin(now)
  }

  /** This process stood still: that it heard no holder meanwhile says nothing of them. */
  stoodStill(now: number): void {
    this.presence.begin(now)
  }

  /** The answer to what needs no entry of the log, or may have none yet; undefined for everything else. */
  answerAtOnce({ now }: Context, state: MapState, command: AdminCommand): CommandResult | undefined {
    if (command.do === 'detach' && command.fence === true && state.featureLevel < FEATURES.endedSessions)
      return refused(
        'CONFLICT',
        'a node of an older version would go on writing for that session',
        'upgrade every node',
      )
    if (command.do !== 'renew-attachment') return undefined
    const volume = state.volumes.get(command.volume)
    if (volume?.holders.some(({ session }) => session === command.session) !== true)
      return refused('FENCED', 'this session is over', 'open the volume again')
    this.presence.heard(command.session, now)
    return done()
  }

  /** Sessions that are to end: they were silent for long, or others want their places. */
  silent(ctx: Context, state: MapState): Detach[] {
    return this.presence.due(ctx, state)
  }

  yielding(ctx: Context, state: MapState, command: Command): Detach[] {
    return this.presence.yielding(ctx, state, command)
  }

  onApplied({ now }: Context, command: Command): void {
    if (command.do === 'attach') this.presence.heard(command.holder.session, now)
  }

  /** An admin command was committed. It is answered now, or once every primary that may hold a lease has learned of it. */
  onCommitted(
    state: MapState,
    requester: Requester,
    command: AdminCommand,
    result: CommandResult,
    holdsLease: (store: StoreId) => boolean,
  ): void {
    const { volume } = result
    const attaches = command.do === 'attach' && command.mode !== 'read-only'
    const ends = command.do === 'detach' && command.fence === true
    if (volume === undefined || !(attaches || ends)) return this.responses.adminDone(requester, result, state.revision)
    const answer = { requester, ends }
    if (this.waits.begin(state, volume, command.session, holdsLease, answer)) return
    this.answer(state, { volume, session: command.session, answer })
  }

  /** A renewal arrived from a store that has applied the map up to `revision`. */
  renewed(state: MapState, store: StoreId, revision: number): void {
    for (const wait of this.waits.renewed(store, revision)) this.answer(state, wait)
  }

  /** The store's lease ran out, or this life of it ended. */
  ended(state: MapState, store: StoreId): void {
    for (const wait of this.waits.ended(store)) this.answer(state, wait)
  }

  views(): AttachView[] {
    return this.waits.views()
  }

  private answer(state: MapState, wait: Pick<AttachWait<Waiting>, 'volume' | 'session' | 'answer'>): void {
    const { requester, ends } = wait.answer
    const result = ends ? done({ volume: wait.volume }) : attachResult(state, wait.volume, wait.session)
    this.responses.adminDone(requester, result, state.revision)
  }
}
