import { type ExtentId, extentIndexOf, FEATURE_LEVEL, type StoreId, volumeOf } from '@ashlar/proto'
import { History } from '../../kit/history/recorder.ts'
import { Checkers } from '../checkers/checkers.ts'
import type { Victims } from '../faults/nemesis.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import { ClientDriver, type DriverWorld, VOLUME_NAME } from '../workload/client-driver.ts'
import { Operator } from '../workload/operator.ts'
import { SESSIONS_VOLUME, SessionChurner } from '../workload/session-churner.ts'
import { CELL_BYTES } from '../workload/stamps.ts'
import { VolumeChurner } from '../workload/volume-churner.ts'
import { Chance } from './chance.ts'
import { ClientHost } from './client-host.ts'
import type { Disk } from './disk.ts'
import { Membership } from './membership.ts'
import { Network } from './network.ts'
import { NodeHost } from './node-host.ts'
import { Clock } from './time.ts'

/** Copies of each extent where the options do not say. */
const DEFAULT_REPLICAS = 3
const CLIENTS = 4

/** What a cluster has of one before it, in whose time it goes on. */
export interface Heritage {
  readonly clock: Clock
  readonly history: History
  /** The last value that was written. */
  readonly values: number
  /** Names of its nodes, with their disks; those without one are new. */
  readonly nodes: readonly { readonly name: string; readonly disk?: Disk }[]
}

/** One cluster with its clients, in one process, on one clock. */
export class World {
  readonly options: SimulationOptions
  readonly clock: Clock
  readonly network: Network
  readonly nodes: readonly NodeHost[]
  readonly clients: readonly ClientHost[]
  readonly drivers: readonly ClientDriver[]
  private readonly churner: VolumeChurner | undefined
  readonly sessions: SessionChurner | undefined
  /** Two operators that act independently. */
  private readonly operators: readonly Operator[]
  readonly membership: Membership
  private readonly replicas: number
  readonly history: History
  /** Disks that exist, by store. */
  readonly disks = new Map<string, Disk>()
  readonly checkers: Checkers
  private readonly chance: Chance
  private calm = true
  private values: number

  constructor(options: SimulationOptions, trace?: (line: string) => void, heritage?: Heritage) {
    this.options = options
    this.replicas = options.replicas ?? DEFAULT_REPLICAS
    this.chance = new Chance(options.seed)
    this.clock = heritage?.clock ?? new Clock()
    this.values = heritage?.values ?? 0
    this.checkers = new Checkers(this.clock, this.disks, trace)
    const { checkers } = this
    checkers.onMayLose = (extent) => this.forgive(extent)
    this.membership = new Membership(this.clock, checkers.truth, this.disks)
    this.history = heritage?.history ?? new History(() => this.clock.now)
    this.network = new Network(this.clock, this.chance.fork(), options.network)
    this.network.onNewerBytes = (text) => checkers.violation('wire-version', text)
    const known = heritage?.nodes
    const names = known?.map(({ name }) => name) ?? Array.from({ length: options.nodes }, (_, at) => `n${at + 1}`)
    const peers = names.map((name) => `${name}:7000`)
    const shared = { clock: this.clock, network: this.network, observer: checkers }
    this.nodes = names.map((name, index) => {
      const chance = this.chance.fork()
      const { disk: diskFaults, voters, raft, log: logOptions } = options
      const sizeBytes = options.space?.sizesBytes[index]
      const space = options.space && sizeBytes && { space: { sizeBytes, reserves: options.space.reserves } }
      const shippedStore = options.shippedStore === true
      const store = { diskFaults, shippedStore, logOptions, ...space, calm: () => this.calm }
      const world = { ...shared, ...store, chance, peers, voters, raft }
      const host = new NodeHost(name, this.rate(), world, known?.[index]?.disk)
      host.build = options.builds?.[index] ?? FEATURE_LEVEL
      return host
    })
    const client = (name: string): ClientHost =>
      new ClientHost(name, this.rate(), {
        ...shared,
        chance: this.chance.fork(),
        servers: peers,
        ioTimeoutMs: options.ioTimeoutMs,
        cancelGraceMs: 1000,
        answerTimeoutMs: 2000,
      })
    const driving = (): DriverWorld => ({
      clock: this.clock,
      chance: this.chance.fork(),
      flushChance: new Chance(options.seed ^ 0xf1054),
      policyChance: new Chance(options.seed ^ 0x90110),
      options,
      history: this.history,
      violation: (rule, text) => checkers.violation(rule, text),
      nextValue: () => ++this.values,
    })
    this.clients = Array.from({ length: CLIENTS }, (_, index) => client(`c${index + 1}`))
    this.drivers = this.clients.map((host, index) => {
      const writes = options.sharing === 'shared' ? ('shared' as const) : ('exclusive' as const)
      const mode = options.sharing === 'shared' || index < 2 ? writes : ('read-only' as const)
      return new ClientDriver(host, mode, driving())
    })
    this.churner = options.churn ? new VolumeChurner(client('churner'), driving()) : undefined
    this.sessions = options.shortSessions === true ? this.makeSessions(client('sessions')) : undefined
    const own = new Chance(options.seed ^ 0x0be4a)
    const people = options.operator ? [own, own.fork()] : []
    this.operators = people.map(
      (chance) => new Operator({ clock: this.clock, chance, membership: this.membership, nodes: this.nodes }),
    )
  }

  private makeSessions(host: ClientHost): SessionChurner {
    const { clock, options, replicas } = this
    const chance = new Chance(options.seed ^ 0x5e5510)
    const nextValue = (): number => ++this.values
    const unheard = () => {
      const volume = this.checkers.truth.map.volumeNamed(SESSIONS_VOLUME)
      const holder = volume?.holders.find(({ renews }) => renews !== true)
      return volume === undefined || holder === undefined ? undefined : { volume: volume.id, session: holder.session }
    }
    return new SessionChurner(host, { clock, chance, replicas, minInSync: options.minInSync, nextValue, unheard })
  }

  /** Starts every process and makes the volume. */
  begin(): void {
    for (const node of this.nodes) {
      this.disks.set(node.disk.store, node.disk)
      node.start()
    }
    this.createVolume()
  }

  /** Runs until the condition holds, and says whether it does before so many milliseconds have passed. */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    const end = this.clock.now + withinMs
    let nextLook = this.clock.now
    while (this.clock.now < end) {
      if (this.clock.now >= nextLook) {
        if (condition()) return true
        nextLook = this.clock.now + 20
      }
      if (!this.clock.step()) break
    }
    return condition()
  }

  setCalm(calm: boolean): void {
    this.calm = calm
    this.network.setCalm(calm)
  }

  /** The volume exists and a client works on it. */
  ready(): boolean {
    return this.drivers.some((driver) => driver.hasVolume)
  }

  /** Every replica of every extent is in sync, and its primary serves; no store is missing, and none is suspect. */
  healed(): boolean {
    const { truth, serving } = this.checkers
    return (
      [...truth.map.extents.values()].every(
        (record) =>
          record.inSync.length === record.assigned.length &&
          record.inSync.every((store) => this.disks.has(store)) &&
          serving.serves(record),
      ) &&
      this.membership.lostVoters.length === 0 &&
      this.suspects.length === 0
    )
  }

  /**
   * Stores that became suspect and were not compared, or still hold what was removed, since. What a store holds of an
   * extent whose place went to another one, since it was declared lost, is kept and never compared.
   */
  private get suspects(): string[] {
    const { extents } = this.checkers.truth.map
    const counts = (store: string, extent: ExtentId): boolean => {
      const record = extents.get(extent)
      return record === undefined || record.assigned.some((member) => member === store)
    }
    const suspects = [...this.disks].filter(([store, { suspicion }]) => [...suspicion].some((it) => counts(store, it)))
    return suspects.map(([store]) => store)
  }

  /** Nothing is in flight: no call, no write to a disk. */
  atRest(): boolean {
    const running = this.nodes.every((node) => node.process?.alive() === true && node.process.store.idle)
    const quiet =
      this.drivers.every((driver) => driver.pending === 0) &&
      this.churner?.idle !== false &&
      this.sessions?.idle !== false
    const settled = this.operators.every(({ idle }) => idle)
    return running && quiet && settled && this.healed()
  }

  /** No client makes new calls from here on. */
  stopClients(): void {
    for (const driver of this.drivers) driver.stop()
    this.churner?.stop()
    this.sessions?.stop()
    for (const operator of this.operators) operator.stop()
  }

  describe(): string {
    const extents = [...this.checkers.truth.map.extents.values()].map(
      (record) =>
        `extent ${record.id} epoch ${record.epoch} primary ${record.primary.store} in sync ${record.inSync.join(' ')}`,
    )
    const { voters, learners } = this.membership.current
    const members = `voters ${voters.join(' ')} learners ${learners.join(' ')}`
    const clients = this.drivers.map((driver, index) => `c${index + 1} ${driver.pending} calls`)
    return [...extents, members, `suspect ${this.suspects.join(' ')}`, ...clients].join('; ')
  }

  victims(): Victims {
    const { clock, options, network, nodes, clients, drivers, checkers, membership } = this
    const first = nodes.slice(0, options.voters)
    return {
      clock,
      chance: this.chance.fork(),
      options,
      network,
      nodes,
      clients,
      drivers,
      truth: checkers.truth,
      voters: () => {
        const { voters } = membership.current
        return options.raft && voters.length > 0 ? nodes.filter(({ disk }) => voters.includes(disk.store)) : first
      },
      membership,
      trace: (text) => checkers.recorder.note(text),
      lost: (store: StoreId) => this.replaceDisk(store),
    }
  }

  /** Acknowledged writes of an extent may be lost, since an operator accepted that. */
  private forgive(extent: ExtentId): void {
    const volume = this.checkers.truth.map.volumeNamed(VOLUME_NAME)
    if (volume === undefined || volumeOf(extent) !== volume.id) return
    const from = extentIndexOf(extent) * this.options.extentSizeBytes
    const to = from + this.options.extentSizeBytes
    this.history.restart((cell) => cell * CELL_BYTES >= from && cell * CELL_BYTES < to)
  }

  /** What a cluster that is made of this one's disks goes on with. */
  heritageOf(nodes: Heritage['nodes']): Heritage {
    const { clock, history, values } = this
    return { clock, history, values, nodes }
  }

  private replaceDisk(lost: StoreId): void {
    this.disks.delete(lost)
    for (const { disk } of this.nodes) this.disks.set(disk.store, disk)
  }

  private rate(): number {
    return 1 + this.chance.between(-this.options.clockError, this.options.clockError)
  }

  /** A client makes the volume, as often as it takes; then all clients open it. */
  private createVolume(): void {
    const { options, clock, checkers } = this
    if (checkers.truth.map.volumeNamed(VOLUME_NAME) !== undefined) {
      for (const [index, driver] of this.drivers.entries()) {
        driver.start(options.sharing === 'takeover' && index === 1 ? 6000 : 0)
      }
      this.churner?.start()
      this.sessions?.start()
      for (const operator of this.operators) operator.start(options.faultsMs / 2)
      return
    }
    const command = {
      do: 'create-volume',
      name: VOLUME_NAME,
      sizeBytes: options.sizeBytes,
      blockSizeBytes: BLOCK_BYTES,
      extentSizeBytes: options.extentSizeBytes,
      replicas: this.replicas,
      minInSync: options.minInSync,
    } as const
    this.clients[0]?.process.call({ do: 'admin', command }, () => {})
    clock.after(200, () => this.createVolume())
  }
}
