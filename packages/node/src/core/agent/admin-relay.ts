import type { AdminCommand, AdminDone, ErrorCode, Millis } from '@ashlar/proto'
import { ERRORS, TIMERS } from '@ashlar/proto'
import type { Context, Link, Token } from '../machine.ts'

/** Origin of a command: a client's link, or this node's HTTP API. */
export type Requester = { readonly link: Link; readonly request: number } | { readonly token: Token }
type Done = Omit<AdminDone, 'type' | 'request'>

interface Relayed {
  readonly requester: Requester
  readonly command: AdminCommand
  readonly askedAt: Millis
  /** Link over which it was sent to the leader; undefined: to be sent again. */
  link: Link | undefined
  /** It was sent before, over a link that closed: a response may have been lost. */
  sentBefore: boolean
}

/** Most commands that wait for control. */
const RELAYED_COMMANDS = 1024
/** Time for control's response: longer than an attachment can wait for leases to run out. */
const ANSWER_MS = 15_000
/**
 * A command of a client that no voter takes for this long goes back to the client, which sends it to another node: that node may
 * be connected to the leader. A request of the HTTP API has no other node and waits for ANSWER_MS.
 */
const LEADER_MS = TIMERS.controlRetryMs

/**
 * Relays commands of clients and of the HTTP API to control's leader. If the link closes, a command is sent again over
 * the next one: attach and detach name their session, so that control recognizes a repetition.
 */
export class AdminRelay {
  private readonly relayed = new Map<number, Relayed>()
  private lastRequest = 0

  /** `leader` undefined: no leader is known. `absence` then says why. */
  ask(
    ctx: Context,
    requester: Requester,
    command: AdminCommand,
    leader: Link | undefined,
    absence: () => string,
  ): void {
    if (leader === undefined)
      return answer(ctx, requester, refusal('NO_CONTROL', 'no control leader answers', absence()))
    if (this.relayed.size >= RELAYED_COMMANDS)
      return answer(ctx, requester, refusal('BUSY', `${RELAYED_COMMANDS} commands wait for control`, 'try again later'))
    const relayed: Relayed = { requester, command, askedAt: ctx.now, link: undefined, sentBefore: false }
    const request = ++this.lastRequest
    this.relayed.set(request, relayed)
    send(ctx, request, relayed, leader)
  }

  /**
   * Sends commands again whose link closed, and fails those that waited too long. `absence` is called only then, since
   * every step comes here.
   */
  drive(ctx: Context, leader: Link | undefined, absence: () => string): void {
    for (const [request, relayed] of this.relayed) {
      const waitedMs = ctx.now - relayed.askedAt
      if (relayed.link === undefined && waitedMs >= LEADER_MS && 'link' in relayed.requester) {
        this.relayed.delete(request)
        const message = 'no voter that this node is connected to leads control; the command may still take effect'
        answer(ctx, relayed.requester, refusal('NO_CONTROL', message, absence()))
        continue
      }
      if (waitedMs < ANSWER_MS) {
        if (leader === undefined || leader === relayed.link) continue
        // The leader or its connection changed.
        if (relayed.link !== undefined) relayed.sentBefore = true
        send(ctx, request, relayed, leader)
        continue
      }
      this.relayed.delete(request)
      const message = `control did not answer for ${waitedMs} ms; the command may still take effect`
      answer(ctx, relayed.requester, refusal('TIMEOUT', message, absence()))
    }
  }

  /** False: the sender does not lead; the command goes to the next leader, unless it waited too long. */
  onResponse(ctx: Context, message: AdminDone): boolean {
    const relayed = this.relayed.get(message.request)
    if (relayed === undefined) return true
    if (message.code === ERRORS.NO_CONTROL.number) {
      relayed.link = undefined
      relayed.sentBefore = true
      return false
    }
    this.relayed.delete(message.request)
    const { code, message: text, hint, volume, revision } = message
    const done: Done = { code, message: text, hint, ...(volume === undefined ? {} : { volume }), revision }
    answer(ctx, relayed.requester, relayed.sentBefore ? withHint(relayed.command, done) : done)
    return true
  }

  /** Commands sent over this link are sent again; those received over it are dropped. */
  onLinkDown(link: Link): void {
    for (const [request, relayed] of this.relayed) {
      if ('link' in relayed.requester && relayed.requester.link === link) this.relayed.delete(request)
      else if (relayed.link === link) {
        relayed.link = undefined
        relayed.sentBefore = true
      }
    }
  }
}

function send(ctx: Context, request: number, relayed: Relayed, leader: Link): void {
  relayed.link = leader
  ctx.emit({ type: 'send', link: leader, message: { type: 'admin', request, command: relayed.command } })
}

function answer(ctx: Context, requester: Requester, done: Done): void {
  if ('token' in requester) ctx.emit({ type: 'admin-done', token: requester.token, done })
  else
    ctx.emit({
      type: 'send',
      link: requester.link,
      message: { type: 'admin-done', request: requester.request, ...done },
    })
}

function refusal(code: ErrorCode, message: string, hint: string): Done {
  return { code: ERRORS[code].number, message, hint, revision: 0 }
}

/** A command that was sent twice may be refused because of its first sending: the hint says so. */
function withHint(command: AdminCommand, done: Done): Done {
  const met =
    (command.do === 'create-volume' && done.code === ERRORS.EXISTS.number) ||
    (command.do === 'remove-volume' && done.code === ERRORS.NOT_FOUND.number)
  if (!met) return done
  return { ...done, hint: 'a response of control was lost: this command may have taken effect; look at the volume' }
}
