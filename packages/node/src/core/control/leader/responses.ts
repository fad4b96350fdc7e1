import type { ErrorCode, Message } from '@ashlar/proto'
import { ERRORS } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import type { CommandResult, SetResult } from '../commands/index.ts'
import type { Requester } from './pending-proposals.ts'

/**
 * Responses of the leader, sent after the map changes of the same step: on one link, a response follows the revision
 * that it names.
 */
export class Responses {
  private waiting: { readonly link: Link; readonly message: Message }[] = []

  /** Sends the responses of this step in order. */
  flush(ctx: Context): void {
    const waiting = this.waiting
    this.waiting = []
    for (const { link, message } of waiting) ctx.emit({ type: 'send', link, message })
  }

  registered(to: Requester, code: ErrorCode, message: string, revision: number): void {
    this.add(to.link, { type: 'registered', request: to.request, code: ERRORS[code].number, message, revision })
  }

  renewed(link: Link, token: number, code: ErrorCode, revision: number): void {
    this.add(link, { type: 'renewed', token, code: ERRORS[code].number, revision })
  }

  released(to: Requester, code: ErrorCode): void {
    this.add(to.link, { type: 'released', request: to.request, code: ERRORS[code].number })
  }

  setsChanged(to: Requester, sets: readonly SetResult[]): void {
    const results = sets.map(({ extent, code, record }) => ({
      extent,
      code: ERRORS[code].number,
      ...(record === undefined ? {} : { record }),
    }))
    this.add(to.link, { type: 'sets-changed', request: to.request, results })
  }

  adminDone(to: Requester, result: CommandResult, revision: number): void {
    const { code, message, hint, volume } = result
    this.add(to.link, {
      type: 'admin-done',
      request: to.request,
      code: ERRORS[code].number,
      message,
      hint,
      ...(volume === undefined ? {} : { volume }),
      revision,
    })
  }

  private add(link: Link, message: Message): void {
    this.waiting.push({ link, message })
  }
}
