import type { Holder, Millis, SessionId, VolumeRecord } from '@ashlar/proto'
import { LIMITS, TIMERS } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'

type Detach = Extract<Command, { do: 'detach' }>

/** How often the leader looks for silent holders. */
const LOOK_MS = 1000

/**
 * Presence of the holders of volumes, in the leader's memory. It only frees their slots: fencing is what stops an ended
 * session from writing (A2.11-9). A leader counts silence from its election, or from the end of its last pause.
 */
export class Presence {
  private heardAt = new Map<SessionId, Millis>()
  private since: Millis = 0
  private lookAt: Millis = 0

  /** This process became leader, or continues after a pause. */
  begin(now: Millis): void {
    this.heardAt.clear()
    this.since = now
    this.lookAt = now + LOOK_MS
  }

  heard(session: SessionId, now: Millis): void {
    this.heardAt.set(session, now)
  }

  /** Sessions that announced renewals and were silent for too long. */
  due({ now }: Context, state: MapState): Detach[] {
    if (now < this.lookAt) return []
    this.lookAt = now + LOOK_MS
    const held = new Map<SessionId, Millis>()
    const gone: Detach[] = []
    for (const volume of state.volumes.values()) {
      for (const { session } of volume.holders) {
        const heardAt = this.heardAt.get(session)
        if (heardAt !== undefined) held.set(session, heardAt)
      }
      gone.push(...this.silent(volume, now, TIMERS.holderSilentMs))
    }
    this.heardAt = held
    return gone
  }

  /** Silent sessions that yield when a further session attaches a volume with the most holders that it may have. */
  yielding({ now }: Context, state: MapState, command: Command): Detach[] {
    if (command.do !== 'attach' || command.holder.mode !== 'shared') return []
    const volume = state.volumeNamed(command.name)
    if (volume === undefined || volume.holders.length < LIMITS.holders) return []
    if (volume.holders.some(({ session }) => session === command.holder.session)) return []
    return this.silent(volume, now, TIMERS.holderYieldMs)
  }

  private silent(volume: VolumeRecord, now: Millis, ms: Millis): Detach[] {
    const isSilent = ({ renews, session }: Holder): boolean =>
      renews === true && now - (this.heardAt.get(session) ?? this.since) > ms
    return volume.holders.filter(isSilent).map(({ session }) => ({ do: 'detach', volume: volume.id, session }))
  }
}
