import type { LoadedBlock } from '@ashlar/node/core'
import { BLOCK_DATA, type ExtentRecord, type StoreId, sameVersion } from '@ashlar/proto'
import type { ControlTruth } from '../checkers/control-truth.ts'
import type { FaultName, SimulationOptions } from '../options.ts'
import type { WideFaultName } from '../wide/shares.ts'
import type { ClientDriver } from '../workload/client-driver.ts'
import type { Chance } from '../world/chance.ts'
import type { ClientHost } from '../world/client-host.ts'
import type { Disk } from '../world/disk.ts'
import type { Membership } from '../world/membership.ts'
import type { Cut, Network } from '../world/network.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { ReplicaImage } from '../world/replica-image.ts'
import type { Clock } from '../world/time.ts'
import { Cuts } from './cuts.ts'
import { DiskFaultMaker } from './disk-faults.ts'
import { SpaceFaultMaker } from './space-faults.ts'
import { WideFaults } from './wide-faults.ts'

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
  /**
   * The nodes that vote on the control log now. Most of them keep their disks: without them the cluster would be lost.
   */
  voters(): readonly NodeHost[]
  readonly membership: Membership
  trace(text: string): void
  lost(store: StoreId): void
}

/** A cut that outlasts a link whose peer is silent (DEAD_LINK_MS). */
const LONG_CUT_MS = 25_000

/** Injects one fault after another at random moments, until it is stopped. */
export class Nemesis {
  private readonly victims: Victims
  private stopped = false
  /** A replaced disk that is not everywhere in sync again: until then no other one is replaced. */
  private wiped: NodeHost | undefined
  private readonly cuts: Cuts
  private readonly disks: DiskFaultMaker
  private readonly space: SpaceFaultMaker
  private readonly wide: WideFaults
  /** Faults that were done, by name. */
  readonly done = new Map<FaultName, number>()

  constructor(victims: Victims) {
    this.victims = victims
    this.cuts = new Cuts(victims.clock, victims.network, victims.options.longCuts === true)
    this.disks = new DiskFaultMaker(victims)
    this.space = new SpaceFaultMaker(victims)
    this.wide = new WideFaults(victims, {
      startLater: (node, afterMs) => this.startLater(node, afterMs),
      cut: (cuts, forMs) => this.cuts.make(cuts, forMs),
      mayLoseAny: () => this.mayWipeAny(),
      cuts: this.cuts,
    })
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

  /** No more harm. What was broken stays so until it mends by itself. */
  cease(): void {
    this.stopped = true
    this.disks.stop()
    this.wide.stop()
  }

  /** What was broken is mended: every node runs, every connection can be made. */
  mend(): void {
    this.cuts.mend()
    for (const node of this.victims.nodes) {
      node.crashAfter(Number.POSITIVE_INFINITY)
      mendDisk(node.disk)
      this.disks.mend(node.disk)
      this.space.mend(node.disk)
      this.wide.mend(node)
      node.start()
      this.mendLostBlocks(node)
    }
  }

  private harm(fault: FaultName): void {
    const does = this.actions[fault as keyof typeof this.actions] ?? this.wide.actions[fault as WideFaultName]
    if (!does()) return
    this.done.set(fault, (this.done.get(fault) ?? 0) + 1)
    this.victims.trace(`fault ${fault}`)
  }

  /** Each does one fault and says whether there was anything to harm. */
  private readonly actions: Readonly<Record<Exclude<FaultName, WideFaultName>, () => boolean>> = {
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
    'power-loss': () => this.powerLoss(),
    'slow-disk': () => this.slowDisk(this.victims.chance.between(50, 1500), 5000),
    'stuck-disk': () => this.slowDisk(this.victims.chance.between(5000, 20_000), 1000),
    'log-error': () => this.logError(),
    'crash-leader': () => this.withLeader((leader) => this.crash(leader)),
    'isolate-leader': () => this.withLeader((leader) => this.cut(this.victims.chance.happens(0.3), [leader.name])),
    'deafen-leader': () => this.withLeader((leader) => this.deafen(leader)),
    'split-voters': () => this.splitVoters(),
    'wipe-voter': () => this.wipe(this.wipeableVoter()),
    'store-error': () => this.disks.failStore(),
    'read-error': () => this.disks.failRead(),
    'full-disk': () => this.disks.fill(),
    'take-space': () => this.space.take(),
    'give-space': () => this.space.give(),
    distrust: () => this.disks.distrust(() => this.mayWipeAny()),
    'drop-records': () =>
      this.disks.dropRecords(
        () => this.mayWipeAny(),
        (node) => this.startLater(node, this.victims.chance.skewed(10, 4000)),
      ),
  }

  // ---- the control log ------------------------------------------------------------------------------------------------

  private withLeader(harm: (leader: NodeHost) => boolean): boolean {
    const leader = this.victims.nodes.find(({ process }) => process?.leads === true)
    return leader !== undefined && harm(leader)
  }

  /** It goes on sending and hears no peer: it must step down by itself (raft pitfall 18). */
  private deafen(leader: NodeHost): boolean {
    const others = this.hosts().filter((host) => host !== leader.name)
    return this.cutFor(9000, [{ side: new Set(others), others: new Set([leader.name]), oneWay: true }])
  }

  /** Some voters cannot reach some others, any of them, maybe one way only: no graph is too odd (raft pitfall 17). */
  private splitVoters(): boolean {
    const { chance } = this.victims
    const voters = this.victims.voters()
    const cuts: Cut[] = []
    for (const { name } of voters) {
      for (const other of voters) {
        if (other.name !== name && chance.happens(0.25)) {
          cuts.push({ side: new Set([name]), others: new Set([other.name]), oneWay: true })
        }
      }
    }
    return cuts.length > 0 && this.cutFor(9000, cuts)
  }

  private logError(): boolean {
    const node = this.victims.chance.pick(this.victims.voters())
    node.disk.logFails = true
    return node.up
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

  private powerLoss(): boolean {
    const { nodes, chance } = this.victims
    for (const node of nodes) {
      node.crash({ powerLoss: true })
      this.startLater(node, chance.skewed(10, 6000))
    }
    return true
  }

  private slowDisk(extraMs: number, mostMs: number): boolean {
    const { clock, chance } = this.victims
    const { disk } = this.node()
    const [store, log] = chance.pick([
      [extraMs, 0],
      [0, extraMs],
      [extraMs, extraMs],
    ] as const)
    disk.extraSyncMs = store
    disk.extraLogSyncMs = log
    clock.after(chance.skewed(200, mostMs), () => mendDisk(disk))
    return true
  }

  private startLater(node: NodeHost, afterMs: number): void {
    this.victims.clock.after(afterMs, () => node.start())
  }

  private cut(oneWay: boolean, side: readonly string[]): boolean {
    this.victims.trace(`cut ${oneWay ? 'from' : 'around'} ${side.join(' ')}`)
    return this.cutFor(9000, [{ side: new Set(side), oneWay }]) && side.length > 0
  }

  private cutFor(mostMs: number, cuts: readonly Cut[]): boolean {
    const { chance, options } = this.victims
    this.cuts.make(cuts, chance.skewed(50, options.longCuts ? LONG_CUT_MS : mostMs))
    return true
  }

  /**
   * Cuts a primary from the leader of control, but not from its replicas: its lease runs out while it still can
   * replicate.
   */
  private isolatePrimary(): boolean {
    const { truth, nodes, chance } = this.victims
    const record = this.someExtent()
    const primary = nodes.find((node) => node.disk.store === record?.primary.store)
    const leader = nodes.find(({ process }) => process?.leads === true) ?? this.victims.voters()[0]
    if (record === undefined || primary === undefined || leader === undefined) return false
    if (primary === leader || truth.map.revision === 0) return false
    const cut = { side: new Set([primary.name]), others: new Set([leader.name]), oneWay: chance.happens(0.3) }
    this.cuts.make([cut], chance.between(3000, 9000))
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

  /** Any store that does not vote, while every extent has another store in sync. */
  private wipeable(): NodeHost | undefined {
    const { nodes, membership, chance } = this.victims
    const voters = this.victims.voters()
    const candidates = nodes.filter((node) => !voters.includes(node) && membership.mayLose(node.disk.store))
    return this.mayWipeAny() && candidates.length > 0 ? chance.pick(candidates) : undefined
  }

  /** A voter, term and vote and log with it; as many at a time as leave a majority that still has its disks. */
  private wipeableVoter(): NodeHost | undefined {
    const { membership, chance } = this.victims
    if (!this.mayWipeAny()) return undefined
    const candidates = this.victims.voters().filter(({ disk }) => membership.mayLose(disk.store))
    return candidates.length > 0 ? chance.pick(candidates) : undefined
  }

  private mayWipeAny(): boolean {
    return this.mayWipe() && !this.anyRot() && this.extents().every((record) => this.disks.believed(record).length >= 2)
  }

  /** The only store in sync of an extent, while others hold every acknowledged write (amendment 2). */
  private soleInSync(): NodeHost | undefined {
    const { nodes, membership } = this.victims
    const voters = this.victims.voters()
    if (!this.mayWipe() || this.anyRot()) return undefined
    return nodes.find(({ disk }) => {
      const holds = this.extents().filter((record) => record.inSync.includes(disk.store))
      const sole = holds.some((record) => record.inSync.length === 1)
      const safe = holds.every((record) => record.inSync.length > 1 || record.eligible.length > 0)
      return sole && safe && !voters.some((voter) => voter.disk === disk) && membership.mayLose(disk.store)
    })
  }

  private mayWipe(): boolean {
    const { truth } = this.victims
    const records = this.extents()
    const whole = records.every((record) => record.inSync.length === record.assigned.length)
    if (whole && this.wiped !== undefined && truth.map.nodes.has(this.wiped.disk.store)) this.wiped = undefined
    return this.wiped === undefined && this.disks.settled && this.wide.settled && records.length > 0
  }

  /**
   * Rots a block of one store whose very version every other store in sync has on its disk. Never two at a time: rot
   * is found only when the block is read.
   */
  private rot(): boolean {
    const { chance, nodes } = this.victims
    const record = this.someExtent()
    if (record === undefined || this.anyRot() || !this.disks.settled) return false
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
   * A rotten block can be lost for good: the others went on to a newer version that never was acknowledged, and then
   * the store with the rot became primary. No replica can mend that, so the nemesis does.
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

function mendDisk(disk: Disk): void {
  disk.extraSyncMs = 0
  disk.extraLogSyncMs = 0
  disk.logFails = false
}

function hasVersion(
  image: ReplicaImage | undefined,
  { block, version }: Pick<LoadedBlock, 'block' | 'version'>,
): boolean {
  const held = image?.versions.get(block)
  return held !== undefined && sameVersion(held, version)
}
