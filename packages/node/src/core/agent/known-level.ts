import { FEATURE_LEVEL } from '@ashlar/proto'
import type { Context, NodeStart } from '../machine.ts'

/** Feature levels of a node at its start (A2.21-1). */
export type LevelStart = Pick<NodeStart, 'featureLevel' | 'knows'>

/** The feature level that this build supports, and the one of its data directory. */
export class KnownLevel {
  /** As reported to control. */
  readonly reported: { readonly level?: number }
  private saved: number

  constructor({ featureLevel = 0, knows: level = FEATURE_LEVEL }: LevelStart) {
    this.saved = featureLevel
    this.reported = level === 0 ? {} : { level }
  }

  /**
   * The map is at this level. Called before any feature of the level is used, so that an older build refuses the
   * directory before it contains something that it does not support.
   */
  follow(ctx: Context, level: number): void {
    if (level <= this.saved) return
    this.saved = level
    ctx.event('info', 'feature-level-raised', { featureLevel: level })
    ctx.emit({ type: 'save-level', level })
  }
}
