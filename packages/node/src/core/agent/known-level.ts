import { FEATURE_LEVEL } from '@ashlar/proto'
import type { Context, NodeStart } from '../machine.ts'

/** What a node knows of feature levels when it starts (A2.21-1). */
export type LevelStart = Pick<NodeStart, 'featureLevel' | 'knows'>

/** The feature level that this build knows, and the one that its data directory is marked with. */
export class KnownLevel {
  /** As it is told to control. */
  readonly told: { readonly level?: number }
  private saved: number

  constructor({ featureLevel = 0, knows: level = FEATURE_LEVEL }: LevelStart) {
    this.saved = featureLevel
    this.told = level === 0 ? {} : { level }
  }

  /**
   * The map is at this level. Called before anything is told that only this level brings, so that an older build refuses the
   * directory before there is something in it that it does not know.
   */
  follow(ctx: Context, level: number): void {
    if (level <= this.saved) return
    this.saved = level
    ctx.event('info', 'feature-level-raised', { featureLevel: level })
    ctx.emit({ type: 'save-level', level })
  }
}
