import type { ReplicaChange } from '@ashlar/node/core'
import type { BlockIndex, BlockVersion, ExtentId } from '@ashlar/proto'
import type { Disk } from '../world/disk.ts'
import type { NodeProcess } from '../world/node-host.ts'
import type { ControlTruth } from './control-truth.ts'
import type { Report } from './report.ts'

type Position = Pick<BlockVersion, 'epoch' | 'seq'>

/** One place in the order of an extent that a primary gave to an operation. */
interface Order {
  readonly position: Position
  readonly blocks: ReadonlySet<BlockIndex>
}

/**
 * An operation applies at most once (A3-24), whether or not a client reads in between or another one writes: where a
 * primary orders an operation that was ordered before, the version of then is not in its own state of a block that it
 * writes again, nor under what is there now. And where it orders that the operation never took effect, that version is
 * in none of its blocks. What every disk that it reached has dropped counts as never ordered: no store can know of it.
 */
export class Orders {
  private readonly truth: ControlTruth
  private readonly report: Report
  /** By extent, session and number. */
  private readonly orders = new Map<string, Order[]>()
  /** What the primary that wrote a version had of the block before it; by extent, block and version. */
  private readonly before = new Map<string, Position>()
  /** Disks that an order reached, by extent, block and version. */
  private readonly holders = new Map<string, Set<Disk>>()

  constructor(truth: ControlTruth, report: Report) {
    this.truth = truth
    this.report = report
  }

  /** A store is asked to commit a change, which is not in its state yet. */
  changed(node: NodeProcess, change: ReplicaChange): void {
    const { extent, head, operation, blocks } = change
    for (const { block, version } of blocks) this.reached(node.disk, nameOf(extent, block, version))
    if (operation === undefined || head.lastEpoch === undefined) return
    if (this.truth.primaryOf(extent, head.lastEpoch) !== node.disk.store) return
    const key = `${extent}:${operation.session}:${operation.op}`
    const known = this.orders.get(key) ?? []
    for (const order of known) {
      const again = operation.cancel ? [...order.blocks] : blocks.map(({ block }) => block)
      const twice = again.find((block) => order.blocks.has(block) && this.holds(node, extent, block, order.position))
      if (twice === undefined) continue
      const { epoch, seq } = order.position
      this.report.violation(
        operation.cancel ? 'cancelled-though-applied' : 'ordered-twice',
        `${node.host}, operation ${key} (extent:session:op): block ${twice} has it as (${epoch}, ${seq}) already`,
      )
    }
    for (const { block, version } of blocks) {
      const held = node.store.versionOf(extent, block)
      if (held !== undefined) this.before.set(nameOf(extent, block, version), held)
    }
    const [first] = blocks
    if (operation.cancel || first === undefined) return
    this.orders.set(key, [...known, { position: first.version, blocks: new Set(blocks.map(({ block }) => block)) }])
  }

  /** The version is what this store has of the block, or what was there was written over it. */
  private holds({ store }: NodeProcess, extent: ExtentId, block: BlockIndex, position: Position): boolean {
    let held: Position | undefined = store.versionOf(extent, block)
    while (held !== undefined && compare(held, position) > 0) held = this.before.get(nameOf(extent, block, held))
    return held !== undefined && compare(held, position) === 0 && !this.isGone(nameOf(extent, block, position))
  }

  private reached(disk: Disk, name: string): void {
    const holders = this.holders.get(name) ?? new Set()
    this.holders.set(name, holders.add(disk))
  }

  /** Each disk that it reached dropped it, and with it the record that the operation was applied. */
  private isGone(name: string): boolean {
    return [...(this.holders.get(name) ?? [])].every(({ dropped }) =>
      dropped.some(({ extent, blocks }) =>
        blocks.some(({ block, version }) => nameOf(extent, block, version) === name),
      ),
    )
  }
}

function compare(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq
}

function nameOf(extent: ExtentId, block: BlockIndex, { epoch, seq }: Position): string {
  return `${extent}:${block}:${epoch}:${seq}`
}
