import type { Millis } from '@ashlar/proto'

/** Calls that wait for the map to reach a revision. */
export class RevisionWaits {
  private readonly waiting: Set<{ readonly revision: number; readonly reached: () => void }> = new Set()

  /** Resolves once `reach` was called with the revision or a later one, or after `timeoutMs`: then the map lags behind. */
  wait(revision: number, timeoutMs: Millis): Promise<void> {
    return new Promise((resolve) => {
      const waiting = {
        revision,
        reached: () => {
          clearTimeout(late)
          resolve()
        },
      }
      const late = setTimeout(() => {
        this.waiting.delete(waiting)
        resolve()
      }, timeoutMs)
      this.waiting.add(waiting)
    })
  }

  reach(revision: number): void {
    for (const waiting of this.waiting) {
      if (revision < waiting.revision) continue
      this.waiting.delete(waiting)
      waiting.reached()
    }
  }
}
