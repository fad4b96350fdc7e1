import type { Holder, Millis, SessionId, VolumeRecord } from '@ashlar/proto'
import { LIMITS, TIMERS } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { HolderView } from './leader-view.ts'

type Detach = Extract<Command, { do: 'detach' }>

/** How often the leader looks for silent holders. */
const LOOK_MS = 1000

/** When a session was last heard of, and over which link: that of the node that relayed its renewal. */
interface Heard {
  readonly at: Millis
  readonly link: Link | undefined
}

/**
 * Presence of the holders of volumes, in the leader's memory. It frees slots of sharers, and says which holders an attach
 * leaves alone: fencing is what stops an ended session from writing (A2.11-9, A2.11-12). A leader counts silence from its
 * election, or from the end of its last pause.
 */
export class Presence {
  private heardAt = new Map<SessionId, Heard>()
  private since: Millis = 0
  private lookAt: Millis = 0

  /** This process became leader, or continues after a pause. */
  begin(now: Millis): void {
    this.heardAt.clear()
    this.since = now
    this.lookAt = now + LOOK_MS
  }

  heard(session: SessionId, now: Millis, link?: Link): void {
    this.heardAt.set(session, { at: now, link })
  }

  /** Since this leader heard of the session; undefined: it has not yet. */
  heardMsAgo(session: SessionId, now: Millis): Millis | undefined {
    const heard = this.heardAt.get(session)
    return heard === undefined ? undefined : now - heard.at
  }

  /** Since the session was heard of, or could have been first. */
  silentMs(session: SessionId, now: Millis): Millis {
    return now - (this.heardAt.get(session)?.at ?? this.since)
  }

  views(now: Millis, state: MapState): HolderView[] {
    const views: HolderView[] = []
    for (const { holders } of state.volumes.values())
      for (const { session, owner } of holders) {
        const heardMsAgo = this.heardMsAgo(session, now)
        views.push({ session, owner, heardMsAgo, link: this.heardAt.get(session)?.link })
      }
    return views
  }

  /** Sessions that announced renewals and were silent for too long. */
  due({ now }: Context, state: MapState): Detach[] {
    if (now < this.lookAt) return []
    this.lookAt = now + LOOK_MS
    const held = new Map<SessionId, Heard>()
    const gone: Detach[] = []
    for (const volume of state.volumes.values()) {
      for (const { session } of volume.holders) {
        const heard = this.heardAt.get(session)
        if (heard !== undefined) held.set(session, heard)
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
    // The silence of an exclusive holder ends nothing by itself: no other session waits for its slot (A2.11-12).
    const isSilent = ({ mode, renews, session }: Holder): boolean =>
      mode === 'shared' && renews === true && this.silentMs(session, now) > ms
    return volume.holders.filter(isSilent).map(({ session }) => ({ do: 'detach', volume: volume.id, session }))
  }
}
