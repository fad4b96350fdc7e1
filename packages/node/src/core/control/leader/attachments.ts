import { type AdminCommand, FEATURES, type StoreId } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import { type CommandResult, done, refused } from '../commands/index.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { judgeAttach } from './attach-policy.ts'
import { type AttachWait, AttachWaits, attachResult } from './attach-waits.ts'
import type { AttachView, HolderView } from './leader-view.ts'
import type { Requester } from './pending-proposals.ts'
import { Presence } from './presence.ts'
import { notLeading } from './refusals.ts'
import type { Responses } from './responses.ts'

type Detach = Extract<Command, { do: 'detach' }>

/** A response due once a change of holders reached every primary; `ends`: the change ended a session. */
interface Waiting {
  readonly requester: Requester
  readonly ends: boolean
}

/** The leader's state of attachments besides the map: incomplete ones, and the presence of holders. */
export class Attachments {
  private readonly waits = new AttachWaits<Waiting>()
  private readonly presence = new Presence()
  private readonly responses: Responses

  constructor(responses: Responses) {
    this.responses = responses
  }

  /** Leadership changed: this leader drops the pending responses. */
  begin(now: number): void {
    for (const { answer } of this.waits.clear()) this.responses.adminDone(answer.requester, notLeading(), 0)
    this.presence.begin(now)
  }

  /** After a pause of this process, in which it received nothing: silence meanwhile does not count. */
  stoodStill(now: number): void {
    this.presence.begin(now)
  }

  /** The result of a command that needs no entry, or may not have one yet; undefined for others. */
  answerAtOnce(
    { now }: Context,
    state: MapState,
    link: Link | undefined,
    command: AdminCommand,
  ): CommandResult | undefined {
    if (command.do === 'detach' && command.fence === true && state.featureLevel < FEATURES.endedSessions)
      return refused(
        'CONFLICT',
        'a node of an older version would continue to write for that session',
        'upgrade every node',
      )
    if (command.do !== 'renew-attachment') return undefined
    const volume = state.volumes.get(command.volume)
    if (volume?.holders.some(({ session }) => session === command.session) !== true)
      return refused('FENCED', 'this session is over', 'open the volume again')
    this.presence.heard(command.session, now, link)
    return done()
  }

  /** Commands that end sessions: silent ones, or ones that yield to others. */
  silent(ctx: Context, state: MapState): Detach[] {
    return this.presence.due(ctx, state)
  }

  yielding(ctx: Context, state: MapState, command: Command): Detach[] {
    return this.presence.yielding(ctx, state, command)
  }

  /** What the command is in the log, or its refusal. */
  judge(ctx: Context, state: MapState, request: AdminCommand, command: Command): Command | CommandResult {
    if (request.do !== 'attach' || command.do !== 'attach') return command
    return judgeAttach(ctx, state, this.presence, request, command)
  }

  holders(now: number, state: MapState): HolderView[] {
    return this.presence.views(now, state)
  }

  onApplied({ now }: Context, command: Command): void {
    if (command.do === 'attach') this.presence.heard(command.holder.session, now)
  }

  /** An admin command was committed. Responds now, or once every primary that may hold a lease has applied it. */
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

  /** A store that applied the map up to `revision` renewed. */
  renewed(state: MapState, store: StoreId, revision: number): void {
    for (const wait of this.waits.renewed(store, revision)) this.answer(state, wait)
  }

  /** The store's lease or incarnation ended. */
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
