import type { ExtentRecord } from '@ashlar/proto'
import type { Disk } from '../world/disk.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { Victims } from './nemesis.ts'

/** What disks do wrong beside being slow, rotting and being replaced. Each says whether there was anything to harm. */
export class DiskFaultMaker {
  private readonly victims: Victims
  /**
   * Stores that dropped records, or may have, are suspect until they were compared: until then no other one loses
   * anything.
   */
  private readonly suspects = new Set<NodeHost>()
  private stopped = false

  constructor(victims: Victims) {
    this.victims = victims
  }

  stop(): void {
    this.stopped = true
  }

  /** Takes away what is to come. */
  mend(disk: Disk): void {
    disk.storeFails = false
    disk.readFails = false
    disk.full = false
    disk.forgetWrites()
  }

  /** The next write of the store fails with an error of the device. */
  failStore(): boolean {
    const node = this.node()
    node.disk.storeFails = true
    return node.up
  }

  /** The next read of the store fails, likewise. */
  failRead(): boolean {
    const node = this.node()
    node.disk.readFails = true
    return node.up
  }

  /** Nothing can be written for a while, neither to the store nor to the control log; then an operator frees space. */
  fill(): boolean {
    const { clock, chance } = this.victims
    const { disk } = this.node()
    if (disk.full) return false
    disk.full = true
    clock.after(chance.skewed(300, 9000), () => {
      disk.full = false
    })
    return true
  }

  /**
   * The power goes, and records that were synced are not in the log of the store any more when it is opened again: it
   * knows that, and says that it is suspect (amendment 11). Only one at a time, and only where another store that is
   * believed holds every acknowledged write: against the loss of all copies nothing is promised. Now and then the power
   * goes everywhere, and no store trusts itself any more, so that what all of them hold has to be merged.
   */
  dropRecords(mayLoseAny: () => boolean, startLater: (node: NodeHost) => void): boolean {
    const { clock, chance } = this.victims
    const candidates = this.victims.nodes.filter(({ up, disk }) => up && disk.replicas.size > 0)
    if (candidates.length === 0) return false
    const node = chance.pick(candidates)
    const { disk } = node
    if (disk.recent !== undefined || !this.mayBecomeSuspect(node, mayLoseAny)) return false
    disk.rememberWrites()
    clock.after(chance.between(200, 3000), () => {
      const loses = !this.stopped && node.disk === disk && node.up && this.mayBecomeSuspect(node, mayLoseAny)
      if (!loses) return disk.forgetWrites()
      this.suspects.add(node)
      node.crash({ powerLoss: true })
      this.victims.trace(`${node.name} dropped ${disk.dropWrites(chance) ? 'records of its log' : 'nothing'}`)
      startLater(node)
      if (chance.happens(0.5)) this.suspectAll(startLater)
    })
    return true
  }

  private suspectAll(startLater: (node: NodeHost) => void): void {
    this.victims.trace('no store trusts itself')
    for (const node of this.victims.nodes) {
      if (this.suspects.has(node)) continue
      this.suspects.add(node)
      node.crash({ powerLoss: true })
      for (const extent of node.disk.replicas.keys()) node.disk.suspicion.add(extent)
      startLater(node)
    }
  }

  /**
   * So many damaged blocks came up that the store does not trust itself any more, although all is there: it leaves as
   * soon as no request would wait for it, and comes back as suspect (A2.6-4).
   */
  distrust(mayLoseAny: () => boolean): boolean {
    const { nodes, truth, chance } = this.victims
    const candidates = nodes.filter(({ up, disk }) => up && disk.replicas.size > 0)
    const node = candidates.length > 0 ? chance.pick(candidates) : undefined
    const others = [...truth.map.extents.values()].map((record) => {
      return this.believed(record).filter((member) => member !== node?.disk.store).length
    })
    // The first family of seeds goes on as it was when a store that had been compared did not count for those that
    // would leave.
    const enough = this.victims.options.wide === true ? 1 : 2
    if (node === undefined || !mayLoseAny() || others.some((count) => count < enough)) return false
    this.suspects.add(node)
    for (const extent of node.disk.replicas.keys()) node.disk.suspicion.add(extent)
    node.process?.distrust('simulated damage')
    return true
  }

  /** No store is suspect: what it may have dropped was found and restored. */
  get settled(): boolean {
    for (const node of this.suspects)
      if (node.up && node.disk.suspicion.size === 0 && !this.countsByMistake(node)) this.suspects.delete(node)
    return this.suspects.size === 0
  }

  /** Its last incarnation registered, so that control knows its trust. */
  private countsByMistake({ disk }: NodeHost): boolean {
    return this.victims.truth.map.nodes.get(disk.store)?.incarnation.counter !== disk.identity.counter
  }

  private mayBecomeSuspect(node: NodeHost, mayLoseAny: () => boolean): boolean {
    const { store } = node.disk
    const records = [...this.victims.truth.map.extents.values()]
    return mayLoseAny() && records.every((record) => this.believed(record).some((member) => member !== store))
  }

  /** Members in sync that control trusts. */
  believed(record: ExtentRecord): string[] {
    const { nodes } = this.victims.truth.map
    return record.inSync.filter((store) => nodes.get(store)?.trust === 'trusted')
  }

  private node(): NodeHost {
    return this.victims.chance.pick(this.victims.nodes)
  }
}
