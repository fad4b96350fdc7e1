import type { LoadedBlock } from '@ashlar/node/core'
import { BLOCK_DATA, type ExtentRecord, type StoreId, sameVersion } from '@ashlar/proto'
import type { ControlTruth } from '../checkers/control-truth.ts'
import type { FaultName, SimulationOptions } from '../options.ts'
import type { ClientDriver } from '../workload/client-driver.ts'
import type { Chance } from '../world/chance.ts'
import type { ClientHost } from '../world/client-host.ts'
import type { Network } from '../world/network.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { ReplicaImage } from '../world/replica-image.ts'
import type { Clock } from '../world/time.ts'

/** What the nemesis may reach. */
export interface Victims {
  readonly clock: Clock
  readonly chance: Chance
  readonly options: SimulationOptions
  readonly network: Network
  readonly nodes: readonly NodeHost[]
  readonly clients: readonly ClientHost[]
  readonly drivers: readonly ClientDriver[]
  readonly truth: ControlTruth
  /** The node that has the control log. Its disk is never replaced: with it the cluster would be gone. */
  readonly voter: NodeHost
  trace(text: string): void
  lost(store: StoreId): void
}

/** Does harm at random moments, one fault after another, until it is told to stop. */
export class Nemesis {
  private readonly victims: Victims
  private stopped = false
  /** A replaced disk that is not everywhere in sync again: until then no other one is replaced. */
  private wiped: NodeHost | undefined
  private cutNumber = 0
  /** Faults that were done, by name. */
  readonly done = new Map<FaultName, number>()

  constructor(victims: Victims) {
    this.victims = victims
  }

  start(): void {
    const { clock, chance, options } = this.victims
    const next = (): void => {
      if (this.stopped) return
      this.harm(chance.pick(options.faults))
      clock.after(chance.between(0.1, 2) * options.faultEveryMs, next)
    }
    clock.after(chance.between(0, options.faultEveryMs), next)
  }

  /** No more harm; what was broken is mended: every node runs, every connection can be made. */
  stop(): void {
    this.stopped = true
    this.victims.network.setCuts([])
    for (const node of this.victims.nodes) {
      node.crashAfter(Number.POSITIVE_INFINITY)
      node.start()
      this.mendLostBlocks(node)
    }
  }

  private harm(fault: FaultName): void {
    if (!this.actions[fault]()) return
    this.done.set(fault, (this.done.get(fault) ?? 0) + 1)
    this.victims.trace(`fault ${fault}`)
  }

  /** Each does one fault and says whether there was anything to harm. */
  private readonly actions: Readonly<Record<FaultName, () => boolean>> = {
    'crash-one': () => this.crash(this.node()),
    'crash-many': () => {
      for (const node of this.victims.nodes) if (this.victims.chance.happens(0.7)) this.crash(node)
      return true
    },
    'crash-mid-step': () => this.crashMidStep(this.node()),
    'shut-down': () => this.shutDown(this.node()),
    cut: () => this.cut(false, this.victims.chance.subset(this.hosts(), 0.4)),
    'cut-one-way': () => this.cut(true, this.victims.chance.subset(this.hosts(), 0.4)),
    'isolate-primary': () => this.isolatePrimary(),
    pause: () => this.pause(),
    lag: () => this.lag(),
    break: () => this.breakConnection(),
    wipe: () => this.wipe(this.wipeable()),
    'wipe-sole': () => this.wipe(this.soleInSync()),
    rot: () => this.rot(),
    'client-crash': () => this.clientCrash(),
  }

  private node(): NodeHost {
    return this.victims.chance.pick(this.victims.nodes)
  }

  private hosts(): string[] {
    return [...this.victims.nodes, ...this.victims.clients].map(({ name }) => name)
  }

  private crash(node: NodeHost): boolean {
    const { chance } = this.victims
    if (!node.up) return false
    node.crash({ powerLoss: chance.happens(0.5) })
    this.startLater(node, chance.skewed(10, 8000))
    return true
  }

  private crashMidStep(node: NodeHost): boolean {
    const { chance } = this.victims
    if (!node.up) return false
    node.crashAfter(chance.integer(0, 40))
    return true
  }

  private shutDown(node: NodeHost): boolean {
    if (!node.up) return false
    node.shutDown()
    return true
  }

  private startLater(node: NodeHost, afterMs: number): void {
    this.victims.clock.after(afterMs, () => node.start())
  }

  private cut(oneWay: boolean, side: readonly string[]): boolean {
    const { clock, chance, network } = this.victims
    const number = ++this.cutNumber
    network.setCuts([{ side: new Set(side), oneWay }])
    this.victims.trace(`cut ${oneWay ? 'from' : 'around'} ${side.join(' ')}`)
    clock.after(chance.skewed(50, 9000), () => {
      if (number === this.cutNumber) network.setCuts([])
    })
    return side.length > 0
  }

  /** Cuts a primary from control, but not from its replicas: its lease runs out while it still can replicate. */
  private isolatePrimary(): boolean {
    const { truth, nodes, voter, network, clock, chance } = this.victims
    const record = this.someExtent()
    const primary = nodes.find((node) => node.disk.store === record?.primary.store)
    if (record === undefined || primary === undefined || primary === voter || truth.map.revision === 0) return false
    const number = ++this.cutNumber
    network.setCuts([{ side: new Set([primary.name]), others: new Set([voter.name]), oneWay: chance.happens(0.3) }])
    clock.after(chance.between(3000, 9000), () => {
      if (number === this.cutNumber) network.setCuts([])
    })
    return true
  }

  private pause(): boolean {
    const { chance } = this.victims
    const process = chance.happens(0.8) ? this.node().process : chance.pick(this.victims.clients).process
    if (process?.alive() !== true) return false
    process.pause(chance.skewed(20, 7000))
    return true
  }

  private lag(): boolean {
    const { process } = this.node()
    if (process?.alive() !== true) return false
    this.victims.network.lag(process, this.victims.chance.between(200, 6000))
    return true
  }

  private breakConnection(): boolean {
    const { process } = this.node()
    if (process?.alive() !== true) return false
    this.victims.network.breakOne(process)
    return true
  }

  // ---- disks ------------------------------------------------------------------------------------------------------

  private wipe(node: NodeHost | undefined): boolean {
    if (node === undefined) return false
    this.wiped = node
    this.victims.lost(node.wipe())
    this.startLater(node, this.victims.chance.between(10, 5000))
    return true
  }

  /** Any store but the voter's, while every extent has another store in sync. */
  private wipeable(): NodeHost | undefined {
    const { nodes, voter, chance } = this.victims
    const records = this.extents()
    if (!this.mayWipe() || this.anyRot() || records.some((record) => record.inSync.length < 2)) return undefined
    const candidates = nodes.filter((node) => node !== voter)
    return chance.pick(candidates)
  }

  /** The only store in sync of an extent, while others hold every acknowledged write (amendment 2). */
  private soleInSync(): NodeHost | undefined {
    const { nodes, voter } = this.victims
    if (!this.mayWipe() || this.anyRot()) return undefined
    return nodes.find(({ disk }) => {
      const holds = this.extents().filter((record) => record.inSync.includes(disk.store))
      const sole = holds.some((record) => record.inSync.length === 1)
      const safe = holds.every((record) => record.inSync.length > 1 || record.eligible.length > 0)
      return sole && safe && disk !== voter.disk
    })
  }

  private mayWipe(): boolean {
    const { truth } = this.victims
    const records = this.extents()
    const whole = records.every((record) => record.inSync.length === record.assigned.length)
    if (whole && this.wiped !== undefined && truth.map.nodes.has(this.wiped.disk.store)) this.wiped = undefined
    return this.wiped === undefined && records.length > 0
  }

  /**
   * Rots a block of one store whose very version every other store in sync has on its disk. Never two at a time: nobody
   * looks for rot until the block is read.
   */
  private rot(): boolean {
    const { chance, nodes } = this.victims
    const record = this.someExtent()
    if (record === undefined || this.anyRot()) return false
    const holders = nodes.filter(({ disk }) => record.inSync.includes(disk.store))
    if (holders.length < 2) return false
    const node = chance.pick(holders)
    const block = node.disk.replicas
      .get(record.id)
      ?.blocks()
      .find((candidate) => holders.every(({ disk }) => hasVersion(disk.replicas.get(record.id), candidate)))
    if (block === undefined || block.version.kind !== BLOCK_DATA) return false
    if (node.process?.alive() === true) node.process.store.rot(record.id, block.block)
    else node.disk.replicas.get(record.id)?.rot(block.block)
    return true
  }

  /**
   * A rotten block can be lost for good: the others went on to a newer version that never was acknowledged, and then the
   * store with the rot became primary. No replica can mend that, so the nemesis does.
   */
  private mendLostBlocks(node: NodeHost): void {
    for (const [extent, image] of node.disk.replicas) {
      for (const block of image.damaged) {
        const version = image.versions.get(block)
        const others = this.victims.nodes.filter((other) => other !== node).map(({ disk }) => disk.replicas.get(extent))
        if (others.some((other) => hasVersion(other, { block, version }) && !other?.damaged.has(block))) continue
        image.damaged.delete(block)
        node.process?.store.mend(extent, block)
      }
    }
  }

  private anyRot(): boolean {
    return this.victims.nodes.some(({ disk }) => [...disk.replicas.values()].some(({ damaged }) => damaged.size > 0))
  }

  private clientCrash(): boolean {
    this.victims.chance.pick(this.victims.drivers).crash()
    return true
  }

  private extents(): ExtentRecord[] {
    return [...this.victims.truth.map.extents.values()]
  }

  private someExtent(): ExtentRecord | undefined {
    const records = this.extents()
    return records.length === 0 ? undefined : this.victims.chance.pick(records)
  }
}

function hasVersion(
  image: ReplicaImage | undefined,
  { block, version }: Pick<LoadedBlock, 'block' | 'version'>,
): boolean {
  const held = image?.versions.get(block)
  return held !== undefined && sameVersion(held, version)
}
