import type { ExtentRecord, MapCopy, StoreId } from '@ashlar/proto'

/**
 * Which stores hold all that this primary committed, and so every acknowledged write: control cannot know it. The
 * primary names them with each change that leaves fewer than minInSync members. They stay eligible as long as nothing
 * was committed without them, also where one left while enough members stayed, or was cleared when another came and
 * went (amendment 27).
 */
export class CompleteStores {
  /** With the start counter of the incarnation in which each was a member: a later incarnation may have lost writes. */
  private readonly lives = new Map<StoreId, number>()

  /** This primary was named: all that counted then hold every acknowledged write. */
  begin(record: ExtentRecord, map: MapCopy): void {
    this.note([...record.inSync, ...record.eligible], map)
  }

  onRecord({ inSync }: ExtentRecord, map: MapCopy): void {
    this.note(inSync, map)
  }

  /** A write was committed, which these stores acknowledged. */
  committed(by: ReadonlySet<StoreId>): void {
    for (const store of this.lives.keys()) if (!by.has(store)) this.lives.delete(store)
  }

  has(store: StoreId, map: MapCopy): boolean {
    const counter = this.lives.get(store)
    return counter !== undefined && map.nodes.get(store)?.incarnation.counter === counter
  }

  /** Complete stores that are not members of `inSync`. */
  outside(inSync: readonly StoreId[], map: MapCopy): StoreId[] {
    return [...this.lives.keys()].filter((store) => this.has(store, map) && !inSync.includes(store))
  }

  private note(stores: readonly StoreId[], map: MapCopy): void {
    for (const store of stores) this.lives.set(store, map.nodes.get(store)?.incarnation.counter ?? 0)
  }
}
