import type { ExtentId } from '@ashlar/proto'

/** Remembered changes of extents: several times what the loss of a large store causes. */
const KEPT_EXTENTS = 131_072
const KEPT_REVISIONS = 4096

/**
 * Extents that the latest revisions changed, so that a watcher that is a little behind gets a delta without a scan of
 * the map.
 */
export class RecentChanges {
  /** Revisions that changed extents, ascending, with the extents: each once a revision. */
  private readonly revisions: number[] = []
  private readonly changed: ExtentId[][] = []
  private kept = 0
  /** Changes up to this revision are not remembered. */
  private floor = 0

  /** Forgets everything: the map was replaced at this revision. */
  restart(revision: number): void {
    this.revisions.length = 0
    this.changed.length = 0
    this.kept = 0
    this.floor = revision
  }

  /** Notes that the revision, no lower than any before, changed the extent. */
  add(revision: number, extent: ExtentId): void {
    const last = this.changed.at(-1)
    if (last !== undefined && this.revisions.at(-1) === revision) last.push(extent)
    else {
      this.revisions.push(revision)
      this.changed.push([extent])
    }
    this.kept++
    if (this.kept > KEPT_EXTENTS || this.revisions.length > KEPT_REVISIONS) this.forgetOldest()
  }

  /** Extents that revisions after `from` changed, possibly repeated; undefined if no longer remembered. */
  after(from: number): readonly ExtentId[] | undefined {
    if (from < this.floor) return undefined
    let first = this.revisions.length
    while (first > 0 && (this.revisions[first - 1] ?? 0) > from) first--
    return this.changed.slice(first).flat()
  }

  /** Forgets a quarter of the revisions at once, so that this is rare; the newest one last. */
  private forgetOldest(): void {
    const count = Math.max(1, Math.floor(this.revisions.length / 4))
    this.floor = this.revisions[count - 1] ?? this.floor
    for (const extents of this.changed.splice(0, count)) this.kept -= extents.length
    this.revisions.splice(0, count)
  }
}
