import type { BlockIndex } from '@ashlar/proto'

/**
 * The blocks that one replica still has to be sent (S-3, A2.9-2). A listed block is in one of these places:
 * waiting to be read, being read, or put aside: damaged here and waiting for a repair, or waiting for room at the replica. It
 * leaves the list when it is sent.
 */
export class ResyncSet {
  private readonly waiting = new Set<BlockIndex>()
  /** True when the block was written while it was being read: what comes back is old, and it is read again. */
  private readonly reading = new Map<BlockIndex, boolean>()
  private readonly repairing = new Set<BlockIndex>()
  private readonly withoutSpace = new Set<BlockIndex>()
  /** Listed because one of the two copies is damaged, and for nothing else: both are of the same version. */
  private readonly sameVersion = new Set<BlockIndex>()

  get size(): number {
    return this.waiting.size + this.reading.size + this.repairing.size + this.withoutSpace.size
  }

  /** Blocks that can be read now. */
  get readable(): number {
    return this.waiting.size
  }

  /** Nothing moves but what was put aside. */
  get stuck(): boolean {
    return this.waiting.size + this.reading.size === 0
  }

  get damaged(): number {
    return this.repairing.size
  }

  get held(): number {
    return this.withoutSpace.size
  }

  /** The replica has no room for the block, which was read or written just now. */
  hold(block: BlockIndex): void {
    this.withoutSpace.add(block)
  }

  /** There is room again. True when that moves anything. */
  releaseHeld(): boolean {
    const any = this.withoutSpace.size > 0
    for (const block of this.withoutSpace) this.waiting.add(block)
    this.withoutSpace.clear()
    return any
  }

  /** The two copies differ. */
  add(block: BlockIndex): void {
    this.sameVersion.delete(block)
    this.list(block)
  }

  /** One of the copies is damaged; unless `add` names the block too, they do not differ. */
  addDamaged(block: BlockIndex): void {
    this.sameVersion.add(block)
    this.list(block)
  }

  private list(block: BlockIndex): void {
    if (!this.reading.has(block) && !this.repairing.has(block) && !this.withoutSpace.has(block)) this.waiting.add(block)
  }

  /** Takes up to `most` blocks to read. */
  take(most: number): BlockIndex[] {
    const run: BlockIndex[] = []
    for (const block of this.waiting) {
      run.push(block)
      if (run.length === most) break
    }
    for (const block of run) {
      this.waiting.delete(block)
      this.reading.set(block, false)
    }
    return run
  }

  /**
   * A block was read. `send`: it leaves the list and is to be sent. `again`: it was written meanwhile, an older version
   * must not follow a newer one. `repair`: what was read is damaged.
   */
  onRead(block: BlockIndex, damaged: boolean): 'send' | 'again' | 'repair' {
    const writtenMeanwhile = this.reading.get(block) === true
    this.reading.delete(block)
    if (writtenMeanwhile) this.waiting.add(block)
    else if (damaged) this.repairing.add(block)
    else return 'send'
    return writtenMeanwhile ? 'again' : 'repair'
  }

  /** The block is good again, or may be. False when it does not wait for that. */
  onRepaired(block: BlockIndex): boolean {
    if (!this.repairing.delete(block)) return false
    this.waiting.add(block)
    return true
  }

  /**
   * Nobody who is here has a good copy. True when it leaves the list by that: the versions are the same, so that nothing is
   * lost by going on, and whoever reads the block is told that it is damaged.
   */
  onUnrepairable(block: BlockIndex): boolean {
    return this.sameVersion.has(block) && this.repairing.delete(block)
  }

  /** Everything that waits for a repair is read once more: it may be good by now. */
  retryDamaged(): void {
    for (const block of this.repairing) this.waiting.add(block)
    this.repairing.clear()
  }

  /** A block was written. True when it is listed and so sends nothing; new content makes a damaged block good and unlists it. */
  onWritten(block: BlockIndex): boolean {
    this.repairing.delete(block)
    this.sameVersion.delete(block)
    // The new content may be none, which needs no room.
    if (this.withoutSpace.delete(block)) this.waiting.add(block)
    if (!this.reading.has(block)) return this.waiting.has(block)
    this.reading.set(block, true)
    return true
  }

  clear(): void {
    this.waiting.clear()
    this.reading.clear()
    this.repairing.clear()
    this.withoutSpace.clear()
    this.sameVersion.clear()
  }
}
