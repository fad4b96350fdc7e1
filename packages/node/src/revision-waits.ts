import type { Millis } from '@ashlar/proto'

/** Those who wait for the map to reach a revision. */
export class RevisionWaits {
  readonly #waiting: Set<{ readonly revision: number; readonly reached: () => void }> = new Set()

  /** Resolves once `tell` said that the map is at the revision, or after `timeoutMs`: then it lags behind. */
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
        this.#waiting.delete(waiting)
        resolve()
      }, timeoutMs)
      this.#waiting.add(waiting)
    })
  }

  tell(revision: number): void {
    for (const waiting of this.#waiting) {
      if (revision < waiting.revision) continue
      this.#waiting.delete(waiting)
      waiting.reached()
    }
  }
}
