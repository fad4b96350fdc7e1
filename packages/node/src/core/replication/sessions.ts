import { FEATURES, LIMITS, type Millis, type SessionId, type VolumeId } from '@ashlar/proto'
import type { ControlView } from '../interfaces.ts'
import type { DedupeWindows } from './dedupe.ts'

/** The sessions of one volume, as this node's map knows them (amendment 31). */
export class Sessions {
  private readonly control: ControlView
  private readonly volume: VolumeId
  /** When windows of another store took the place of those that were here. */
  private adoptedAt: Millis | undefined

  constructor(control: ControlView, volume: VolumeId) {
    this.control = control
    this.volume = volume
  }

  /**
   * The session holds the volume: a primary gives its operations a seq. One that the map does not name is over, since
   * an attachment is complete only once every primary has learned of it, and a session is never attached twice.
   */
  holds(session: SessionId): boolean {
    const { map } = this.control
    if (map.featureLevel < FEATURES.endedSessions) return true
    return map.volumes.get(this.volume)?.holders.some((holder) => holder.session === session) ?? false
  }

  adopted(now: Millis): void {
    this.adoptedAt = now
  }

  /**
   * What was taken over from another store lacks the windows of sessions that were over by that store's map. Until this one's is
   * known to be as new, it may name a session of which nobody remembers what it did.
   */
  get behindWindows(): boolean {
    const { map } = this.control
    return (
      map.featureLevel >= FEATURES.endedSessions &&
      this.adoptedAt !== undefined &&
      this.control.mapAsOf() <= this.adoptedAt
    )
  }

  /** Forgets sessions that are over. True when there were any. */
  forgetEnded(windows: DedupeWindows): boolean {
    const over = this.over(windows)
    windows.drop(over)
    return over.length > 0
  }

  /**
   * There is no room for a window of this session: its operations get no seq until others are over. Before sessions end for all
   * primaries none is known to be over, so that nothing is refused.
   */
  crowdOut(windows: DedupeWindows, session: SessionId): boolean {
    if (this.control.map.featureLevel < FEATURES.endedSessions) return false
    if (windows.size < LIMITS.sessionWindows || windows.has(session)) return false
    return windows.size - this.over(windows).length >= LIMITS.sessionWindows
  }

  /**
   * A store may hear of an operation before it hears of the attachment, so only what it recorded before the moment up to which
   * its map is known to be whole tells that a session which the map does not name is over.
   */
  private over(windows: DedupeWindows): SessionId[] {
    return windows.notSince(this.control.mapAsOf()).filter((session) => !this.holds(session))
  }
}
