import type { BlockIndex } from '@ashlar/proto'

/**
 * The blocks that one replica still has to be sent (S-3, A2.9-2). A block of the set waits to be read, is being read,
 * or is deferred: damaged here until a repair, or without space at the replica. It leaves the set when it is sent.
 */
export class ResyncSet {
  private readonly waiting = new Set<BlockIndex>()
  /** True when the block was written while it was being read: what was read is old, and it is read again. */
  private readonly reading = new Map<BlockIndex, boolean>()
  private readonly repairing = new Set<BlockIndex>()
  private readonly withoutSpace = new Set<BlockIndex>()
  /** In the set only because one of the two copies is damaged: both are of the same version. */
  private readonly sameVersion = new Set<BlockIndex>()

  get size(): number {
    return this.waiting.size + this.reading.size + this.repairing.size + this.withoutSpace.size
  }

  /** Blocks that can be read now. */
  get readable(): number {
    return this.waiting.size
  }

  /** All blocks of the set are deferred. */
  get stuck(): boolean {
    return this.waiting.size + this.reading.size === 0
  }

  get damaged(): number {
    return this.repairing.size
  }

  get deferred(): number {
    return this.withoutSpace.size
  }

  /** The replica has no space for the block, which was read or written just now. */
  defer(block: BlockIndex): void {
    this.withoutSpace.add(block)
  }

  /** The replica has space again. True when any block waited for that. */
  releaseDeferred(): boolean {
    const any = this.withoutSpace.size > 0
    for (const block of this.withoutSpace) this.waiting.add(block)
    this.withoutSpace.clear()
    return any
  }

  /** The two copies differ. */
  add(block: BlockIndex): void {
    this.sameVersion.delete(block)
    this.include(block)
  }

  /** One of the copies is damaged; unless `add` names the block too, they do not differ. */
  addDamaged(block: BlockIndex): void {
    this.sameVersion.add(block)
    this.include(block)
  }

  private include(block: BlockIndex): void {
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
   * A block was read. `send`: it leaves the set and is to be sent. `again`: it was written meanwhile, an older version
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

  /** The block is good again, or may be. False when it was not waiting for that. */
  onRepaired(block: BlockIndex): boolean {
    if (!this.repairing.delete(block)) return false
    this.waiting.add(block)
    return true
  }

  /**
   * No connected store has a good copy. True when the block leaves the set: both copies are of the same version, so the
   * copy may go on without it, and its readers get an error.
   */
  onUnrepairable(block: BlockIndex): boolean {
    return this.sameVersion.has(block) && this.repairing.delete(block)
  }

  /** Blocks that wait for a repair are read once more: they may be good by now. */
  retryDamaged(): void {
    for (const block of this.repairing) this.waiting.add(block)
    this.repairing.clear()
  }

  /**
   * A block was written. True when it is in the set and so sends nothing; new content replaces a damaged block and
   * takes it out.
   */
  onWritten(block: BlockIndex): boolean {
    this.repairing.delete(block)
    this.sameVersion.delete(block)
    // A discard needs no space.
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
