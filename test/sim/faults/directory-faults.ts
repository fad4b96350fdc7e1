import type { ExtentId, StoreId } from '@ashlar/proto'
import { copyOf, type DiskCopy, putStoreBack } from '../world/disk-copy.ts'
import { NO_LOG } from '../world/log-image.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { Victims } from './nemesis.ts'
import type { Tools } from './wide-faults.ts'

/** How long a store that control refuses runs before an operator starts it again. */
const REFUSED_MS = 2500

/**
 * Data directories that go back: an operator stops a node, keeps a copy, starts it, and some time later puts the copy
 * back, as one does to undo an upgrade. The boot of the machine is the same one or another, as the crash is one of
 * power or not.
 */
export class DirectoryFaults {
  private readonly victims: Victims
  private readonly tools: Tools
  /** Stores that went back, until control knows the running incarnation and all that they lacked is there again. */
  private readonly wentBack = new Set<NodeHost>()
  /** Nodes of which a copy was kept that is still to be put back. */
  private readonly copied = new Set<NodeHost>()
  /** Nodes over a copy of whose directory a second process runs, or ran. */
  private readonly twins = new Set<NodeHost>()
  /** Directories that went back whole. */
  private wholeBacks = 0
  private stopped = false

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
  }

  stop(): void {
    this.stopped = true
  }

  /** No store lacks anything because its directory went back. */
  get settled(): boolean {
    for (const node of this.wentBack) if (this.isWhole(node)) this.wentBack.delete(node)
    return this.wentBack.size === 0
  }

  /**
   * The store goes back, and with it everything else of a node that has no voice in the control log. That store must
   * not be trusted, so that each acknowledged write is on another one that is; it is refused, and suspect in its next
   * incarnation.
   */
  storeBack(): boolean {
    const { nodes, chance } = this.victims
    const node = chance.pick(nodes)
    if (!node.up || node.disk.replicas.size === 0) return false
    return this.keepCopy(node, (copy) => {
      if (!this.tools.mayLoseAny() || !this.isElsewhere(node)) return false
      putStoreBack(node.disk, copy)
      this.wentBack.add(node)
      this.startUntilKnown(node)
      return true
    })
  }

  /** `control/` alone goes back, the marks beside it do not: the log is lost, and most others have theirs. */
  controlBack(): boolean {
    const { chance, options, membership } = this.victims
    if (!options.raft) return false
    const node = chance.pick(this.victims.voters())
    if (!node.up) return false
    return this.keepCopy(node, (copy) => {
      if (!this.tools.mayLoseAny() || !membership.mayLose(node.disk.store)) return false
      node.disk.log.putBack(copy.log, false)
      return true
    })
  }

  /**
   * All of a node's directory goes back, on the same boot: store, control log and what lies beside it. Every other copy
   * is from before the store kept a log. On another boot nothing reveals a control log that went back. Sometimes a
   * second process runs over the copy instead, beside the first.
   */
  directoryBack(): boolean {
    const { nodes, chance } = this.victims
    if (chance.happens(0.2)) return this.runTwice(chance.pick(nodes))
    // Half of them are voters: what goes back with the directory of another node is its store alone.
    const node = chance.pick(chance.happens(0.5) ? this.victims.voters() : nodes)
    if (!node.up) return false
    const putBack = (copy: DiskCopy) =>
      this.putAllBack(node, ++this.wholeBacks % 2 > 0 ? copy : { ...copy, log: NO_LOG })
    return this.keepCopy(node, putBack, false)
  }

  private putAllBack(node: NodeHost, copy: DiskCopy): boolean {
    const { disk } = node
    const newer = { log: disk.log.copy(), identity: disk.identity }
    const mayLose = this.tools.mayLoseAny() && this.isElsewhere(node) && this.victims.membership.mayLose(disk.store)
    this.putControlBack(node, copy)
    if (mayLose && !node.refuses) {
      putStoreBack(disk, copy)
      this.wentBack.add(node)
      this.startUntilKnown(node)
      return true
    }
    // No other store has what the only voter forgot: it does not start until the newer directory is back.
    this.victims.clock.after(node.refuses ? REFUSED_MS : 0, () => {
      if (node.disk !== disk || node.up) return
      this.putControlBack(node, newer)
      node.start()
    })
    return node.refuses
  }

  private putControlBack({ disk }: NodeHost, { log, identity }: Pick<DiskCopy, 'log' | 'identity'>): void {
    disk.log.putBack(log, true)
    disk.identity = { ...identity }
  }

  /** Over a copy of the directory of a node without a control log, once control knows the incarnation of the first. */
  private runTwice(node: NodeHost): boolean {
    const { clock, chance } = this.victims
    if (!node.up || node.disk.log.lastIndex > 0 || this.twins.has(node)) return false
    node.crash({ powerLoss: false })
    const twin = node.twin(`${node.name}-twin`)
    this.twins.add(node)
    this.tools.startLater(node, chance.skewed(10, 2000))
    clock.after(chance.between(300, 8000), () => {
      if (this.stopped || !node.up || node.disk.store !== twin.disk.store || !this.isKnown(node)) return
      this.victims.trace(`a second process runs over a copy of ${node.name}`)
      twin.start()
      clock.after(chance.between(500, 4000), () => twin.crash({ powerLoss: false }))
    })
    return true
  }

  /**
   * Stops the node for a copy, starts it, and later stops it again for `putBack`, which says whether it did anything.
   */
  private keepCopy(node: NodeHost, putBack: (copy: DiskCopy) => boolean, otherBoot = true): boolean {
    const { clock, chance } = this.victims
    if (this.copied.has(node)) return false
    this.copied.add(node)
    const { disk } = node
    node.crash({ powerLoss: chance.happens(0.3) })
    const copy = copyOf(disk)
    this.tools.startLater(node, chance.skewed(10, 2000))
    clock.after(chance.between(300, 8000), () => {
      this.copied.delete(node)
      if (this.stopped || node.disk !== disk || !node.up) return
      node.crash({ powerLoss: otherBoot && chance.happens(0.3) })
      if (putBack(copy)) this.victims.trace(`${node.name} went back`)
      this.tools.startLater(node, chance.skewed(10, 3000))
    })
    return true
  }

  /**
   * Each acknowledged write is on a store that is trusted, beside this one. At minInSync 1 that ends with a set of
   * this store alone, and what only it held then is lost with it, as is agreed there. Where it asked for such a set
   * before it stopped, control may still commit that, and the others count no more. From minInSync 2 on they would stay
   * eligible (amendment 2).
   */
  private isElsewhere({ disk, process }: NodeHost): boolean {
    const { truth, options } = this.victims
    const mayLeave = (extent: ExtentId, member: StoreId) =>
      options.minInSync === 1 && process?.asksWithout(extent, member) === true
    return [...truth.map.extents.values()].every(({ id, inSync }) =>
      inSync.some(
        (member) => member !== disk.store && truth.map.nodes.get(member)?.trust === 'trusted' && !mayLeave(id, member),
      ),
    )
  }

  /** Control refuses a store that went back for as long as its process runs; its supervisor starts it again. */
  private startUntilKnown(node: NodeHost): void {
    const { disk } = node
    const { clock, trace } = this.victims
    clock.after(REFUSED_MS, () => {
      if (node.disk !== disk || this.isKnown(node)) return
      if (node.up && node.process?.refused === true) {
        trace(`${node.name} is refused, and started once more`)
        node.crash({ powerLoss: false })
        node.start()
      }
      this.startUntilKnown(node)
    })
  }

  private isWhole(node: NodeHost): boolean {
    const { extents } = this.victims.truth.map
    return node.up && this.isKnown(node) && ![...node.disk.incomplete].some((extent) => extents.has(extent))
  }

  /** Control knows the running incarnation, and not only its start counter. */
  private isKnown({ disk, process }: NodeHost): boolean {
    const known = this.victims.truth.map.nodes.get(disk.store)
    return known !== undefined && known.incarnation.bootId === process?.bootId
  }
}
