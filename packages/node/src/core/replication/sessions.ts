import { FEATURES, LIMITS, type Millis, type SessionId, type VolumeId } from '@ashlar/proto'
import type { ControlView } from '../interfaces.ts'
import type { DedupeWindows } from './dedupe.ts'

/** The sessions of one volume, as this node's map knows them (amendment 31). */
export class Sessions {
  private readonly control: ControlView
  private readonly volume: VolumeId
  /** When windows of another store replaced the own ones. */
  private adoptedAt: Millis | undefined

  constructor(control: ControlView, volume: VolumeId) {
    this.control = control
    this.volume = volume
  }

  /**
   * The session holds the volume: a primary assigns seqs to its operations. One that the map does not name is over,
   * since an attachment is complete only once every primary has learned of it, and a session is never attached twice.
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
   * Windows of another store lack the sessions that were over by that store's map. Until the own map is as new, it may
   * name a session whose operations no store remembers.
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
   * No window is free for this session: its operations get no seq until others are over. Before sessions end on all
   * primaries none is known to be over, so nothing is refused.
   */
  lacksWindow(windows: DedupeWindows, session: SessionId): boolean {
    if (this.control.map.featureLevel < FEATURES.endedSessions) return false
    if (windows.size < LIMITS.sessionWindows || windows.has(session)) return false
    return windows.size - this.over(windows).length >= LIMITS.sessionWindows
  }

  /**
   * A store may receive an operation before it learns of the attachment. So a session that the map does not name is
   * over only if the store recorded nothing of it since the moment up to which the map is complete.
   */
  private over(windows: DedupeWindows): SessionId[] {
    return windows.notSince(this.control.mapAsOf()).filter((session) => !this.holds(session))
  }
}
