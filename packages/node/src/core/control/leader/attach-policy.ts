import { type AdminCommand, FEATURES, type Holder, TIMERS } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { attachedBy, type CommandResult, joinsSharers, notResumed } from '../commands/index.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { Presence } from './presence.ts'

type Request = Extract<AdminCommand, { do: 'attach' }>
type Attach = Extract<Command, { do: 'attach' }>

/**
 * What an attach is in the log, or its refusal (A2.11-11). The leader judges the holders that its map has now; the entry
 * names those, so that it ends no session that attached in between.
 */
export function judgeAttach(
  { now }: Context,
  state: MapState,
  presence: Presence,
  request: Request,
  attach: Attach,
): Attach | CommandResult {
  if (state.featureLevel < FEATURES.attachPolicies) return attach
  const { policy = request.ifFree ? 'free' : 'take', owner = '', since } = request
  const holder: Holder = {
    ...attach.holder,
    ...(since === undefined ? {} : { since }),
    ...(owner === '' ? {} : { owner }),
  }
  const command: Attach = { ...attach, holder, ifFree: policy === 'free' }
  const volume = state.volumeNamed(request.name)
  if (volume === undefined || policy === 'take' || policy === 'free') return command
  if (request.mode === 'read-only' || joinsSharers(volume, request.mode)) return command
  if (volume.holders.some(({ session }) => session === request.session)) return command
  const isOwn = (held: Holder): boolean => owner !== '' && held.owner === owner
  const mayEnd = (held: Holder): boolean =>
    isOwn(held) || (policy === 'silent' && presence.silentMs(held.session, now) >= TIMERS.holderHeardMs)
  const kept = volume.holders.find((held) => !mayEnd(held))
  const replaces = volume.holders.map(({ session }) => session)
  if (policy === 'silent')
    return kept === undefined ? { ...command, replaces } : attachedBy(volume, kept, heardText(presence, kept, now))
  return kept === undefined && volume.holders.length > 0 ? { ...command, replaces, resumes: true } : notResumed(volume)
}

function heardText(presence: Presence, { session }: Holder, now: number): string {
  const heardMs = presence.heardMsAgo(session, now)
  return heardMs === undefined ? '' : `, last heard of ${Math.round(heardMs / 1000)} s ago`
}
