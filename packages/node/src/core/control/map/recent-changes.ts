import type { ExtentId } from '@ashlar/proto'

/** Changes of extents that are remembered: as many as the loss of a large store makes, several times over. */
const KEPT_EXTENTS = 131_072
const KEPT_REVISIONS = 4096

/**
 * Which extents the latest revisions of the map changed, so that whoever is a little behind is told without looking through
 * the whole map. What is older is forgotten.
 */
export class RecentChanges {
  /** Revisions that changed extents, ascending, and which ones: each extent once a revision. */
  private readonly revisions: number[] = []
  private readonly changed: ExtentId[][] = []
  private kept = 0
  /** Of revisions up to this one nothing is known. */
  private floor = 0

  /** Forgets everything: the map was put in place whole, at this revision. */
  restart(revision: number): void {
    this.revisions.length = 0
    this.changed.length = 0
    this.kept = 0
    this.floor = revision
  }

  /** The revision, no lower than any before, changed the extent, for the first time. */
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

  /** Extents that revisions after `from` changed, some of them more than once; undefined when it is not known any more. */
  after(from: number): readonly ExtentId[] | undefined {
    if (from < this.floor) return undefined
    let first = this.revisions.length
    while (first > 0 && (this.revisions[first - 1] ?? 0) > from) first--
    return this.changed.slice(first).flat()
  }

  /** A quarter of the revisions at once, so that this is seldom done; what the newest one changes is forgotten last. */
  private forgetOldest(): void {
    const count = Math.max(1, Math.floor(this.revisions.length / 4))
    this.floor = this.revisions[count - 1] ?? this.floor
    for (const extents of this.changed.splice(0, count)) this.kept -= extents.length
    this.revisions.splice(0, count)
  }
}
