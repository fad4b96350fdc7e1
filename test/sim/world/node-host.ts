import { crc32 } from 'node:zlib'
import {
  type Effect,
  type Input,
  type LoadedBlock,
  type MakeLocalLog,
  NodeMachine,
  type NodeStart,
} from '@ashlar/node/core'
import type { AdminCommand, ExtentId, Message, Millis, NodeName, ReadPart, StoreId } from '@ashlar/proto'
import { FEATURE_LEVEL, splitBlocks, WIRE_VERSION } from '@ashlar/proto'
import { NodeClock } from '../../../packages/node/src/runtime/node-clock.ts'
import { clusterProblem } from '../../../packages/node/src/transport/handshake.ts'
import { SoloLog } from '../../../packages/node/test/core/control/solo-log.ts'
import type { Chance } from './chance.ts'
import type { Hello } from './connection.ts'
import { Disk } from './disk.ts'
import { copyOf, putStoreBack } from './disk-copy.ts'
import type { DiskFaults } from './disk-faults.ts'
import { SpaceGauge, type SpaceOfNode } from './disk-space.ts'
import type { Network } from './network.ts'
import type { NodeObserver } from './observer.ts'
import { OpenStore } from './open-store.ts'
import { Process } from './process.ts'
import { ShippedStore } from './shipped-store.ts'
import type { Clock } from './time.ts'

/** Worlds with a single voter need no elections until its log is lost: the next term begins with raft. */
const makeSoloLog: MakeLocalLog = (entries, listener) => new SoloLog(entries, listener)

/** What raft does otherwise than by default. */
export type LogOptions = NonNullable<NodeStart['logOptions']>

/** What builds speak that know no feature levels. */
const WIRE_VERSION_BEFORE_LEVELS = 2

/**
 * A machine that runs one storage node: its disk outlives its processes. What it can do wrong: stop at any instruction,
 * with or without losing power; pause; run its clock too fast or too slow; come back with an empty disk.
 */
export class NodeHost {
  readonly name: string
  readonly address: string
  readonly rate: number
  private readonly world: NodeWorld
  private boot = 1
  private openings = 0
  /** How far the wall clock is from the time since boot. */
  wallAheadMs: Millis = 0
  disk: Disk
  /**
   * Feature level that the build knows which is installed here; a process keeps that with which it began (amendment
   * 24).
   */
  build: number = FEATURE_LEVEL
  process: NodeProcess | undefined
  private heldDown = false

  /** `disk`: one that is there already, in place of an empty one. */
  constructor(name: string, rate: number, world: NodeWorld, disk?: Disk) {
    this.name = name
    this.address = `${name}:7000`
    this.rate = rate
    this.world = world
    this.disk = disk ?? this.emptyDisk()
    world.network.listen(this.address, () => (this.process?.alive() ? this.process : undefined))
  }

  /** Nothing starts over what is on its disk: a control log that went back, and that no other store keeps. */
  get refuses(): boolean {
    return this.disk.log.isRefusedTo(this.disk.identity.voters, this.disk.store)
  }

  get up(): boolean {
    return this.process?.alive() ?? false
  }

  /** Starts a process over what is on the disk. */
  start(): void {
    if (this.up || this.heldDown) return
    // An older build refuses the directory by name, so that an operator installs the newer one.
    if (this.build < this.disk.identity.featureLevel) this.build = FEATURE_LEVEL
    if (this.refuses) return
    this.disk.identity.counter += 1
    this.process = new NodeProcess(this, this.bootId(), this.world)
    this.process.begin()
  }

  /** Another node of the cluster on the same machine, over a copy of this one's disk. */
  twin(name: string): NodeHost {
    const disk = new Disk(this.disk.store, this.world.space?.sizeBytes)
    const copy = copyOf(this.disk)
    putStoreBack(disk, copy)
    disk.log.putBack(copy.log, true)
    const twin = new NodeHost(name, this.rate, this.world, disk)
    twin.bootId = () => this.bootId()
    return twin
  }

  /** The same node with its disk, where others can reach it, as others see it. */
  moved(network: Network, observer: NodeObserver): NodeHost {
    return new NodeHost(this.name, this.rate, { ...this.world, network, observer }, this.disk)
  }

  /** As the shipped shell draws it: the boot, and a number that no two openings have, whatever came of the disk. */
  private bootId = (): string => `${this.name}-boot-${this.boot}/${++this.openings}`

  /** `luckless`: of what was being synced nothing survives. */
  crash(how: { powerLoss: boolean; luckless?: boolean }): void {
    this.process?.kill(how.powerLoss, how.luckless)
    // An old directory that is refused is put back before the machine reboots: after that nothing tells (decision 16).
    if (!how.powerLoss || this.refuses) return
    // After the last that reached the disk: the boot mark is in memory and is gone with it.
    this.boot += 1
    this.disk.log.losePower()
  }

  /** It stays down, whatever would start it, until `letUp`. */
  holdDown(how: { powerLoss: boolean }): void {
    this.heldDown = true
    this.crash(how)
  }

  letUp(): void {
    this.heldDown = false
    this.start()
  }

  /** Asks the process to hand over and end; it is started again after that. */
  shutDown(): void {
    const { process } = this
    process?.run(() => process.shutDown())
  }

  /**
   * The process stops in the middle of what some later input makes it do, after so many effects; it is started again.
   */
  crashAfter(effects: number): void {
    if (this.process !== undefined) this.process.effectsLeft = effects
  }

  /** The supervisor of the node starts it again, after a while. */
  restart(): void {
    this.world.clock.after(this.world.chance.between(200, 4000), () => this.start())
  }

  /** Replaces the disk by an empty one. Returns the store that is lost. */
  wipe(): StoreId {
    this.crash({ powerLoss: true })
    const lost = this.disk.store
    this.disk = this.emptyDisk()
    return lost
  }

  private emptyDisk(): Disk {
    return new Disk(newStoreId(this.world.chance), this.world.space?.sizeBytes)
  }
}

/** What a node needs from the world around it. */
export interface NodeWorld {
  readonly clock: Clock
  readonly network: Network
  readonly chance: Chance
  readonly diskFaults: DiskFaults
  readonly observer: NodeObserver
  readonly peers: readonly string[]
  /** How many of them vote on the control log at first. */
  readonly voters: number
  /** Without it one voter keeps the log alone, without elections. */
  readonly raft: boolean
  readonly logOptions: LogOptions
  /** Its store is the one that ships, over the memory driver. */
  readonly shippedStore: boolean
  /** Absent: its disk has no end. */
  readonly space?: SpaceOfNode
  calm(): boolean
}

export class NodeProcess extends Process {
  readonly node: NodeHost
  readonly disk: Disk
  readonly store: OpenStore
  readonly counter: number
  /** With the counter the incarnation of this process. */
  readonly bootId: string
  /** Feature level that its build knows. */
  readonly build: number
  /** Control refused its registration. */
  refused = false
  effectsLeft: number = Number.POSITIVE_INFINITY
  private reported = 0
  private commands = 0
  private distrusted = false
  private readonly asked = new Map<number, () => void>()
  /** The set that it asked control for last, by extent. */
  private readonly setsAsked = new Map<ExtentId, readonly StoreId[]>()
  readonly machine: NodeMachine
  private readonly gauge: SpaceGauge | undefined
  /** The shipped one: time in which the host was suspended counts from the next look on. */
  private readonly nodeClock: NodeClock
  private readonly world: NodeWorld

  constructor(node: NodeHost, bootId: string, world: NodeWorld) {
    super(node.name, node.rate, world)
    this.node = node
    this.disk = node.disk
    this.world = world
    this.nodeClock = new NodeClock({
      monotonic: () => this.monotonic(),
      sinceBoot: () => this.sinceBoot(),
      wall: () => this.sinceBoot() + node.wallAheadMs,
    })
    const { disk } = node
    this.counter = disk.identity.counter
    this.bootId = bootId
    this.build = node.build
    const Store = world.shippedStore ? ShippedStore : OpenStore
    this.store = new Store(disk, {
      clock: world.clock,
      chance: world.chance,
      faults: world.diskFaults,
      calm: () => world.calm(),
      complete: (inputs) =>
        this.run(() => {
          for (const input of inputs) {
            if (input.type === 'store-suspect') this.distrusted = true
            this.feed(input)
          }
        }),
      violation: (rule, text) => world.observer.violation(rule, text),
      logDurable: (entry) => world.observer.logDurable(this, entry),
      synced: (bytes) => this.gauge?.wrote(bytes),
      outOfRoom: (bytes, freeBytes) => world.observer.outOfRoom(this, bytes, freeBytes),
    })
    if (disk.space !== undefined && world.space !== undefined)
      this.gauge = new SpaceGauge(disk.space, world.space.reserves, this.now())
    const start: NodeStart = {
      store: disk.store,
      name: node.name as NodeName,
      address: node.address,
      api: `${node.name}:7001`,
      incarnation: { bootId, counter: this.counter },
      trust: disk.suspicion.size > 0 ? 'suspect' : 'trusted',
      cluster: disk.identity.cluster,
      voters: disk.identity.voters,
      founded: disk.identity.founded,
      featureLevel: disk.identity.featureLevel,
      knows: this.build,
      peers: [...world.peers].sort(),
      expect: world.peers.length,
      replicas: this.store.stored(),
      log: disk.log.open(),
      snapshot: disk.log.snapshot,
      hardState: disk.log.hardState,
      ...(world.raft ? { voterCount: world.voters, logOptions: world.logOptions } : {}),
      seed: world.chance.seed(),
    }
    const hasElections = world.raft || start.hardState !== undefined
    this.machine = new NodeMachine(start, hasElections ? undefined : makeSoloLog)
  }

  /** It leads control, as far as it knows. */
  get leads(): boolean {
    return this.alive() && this.machine.leader?.leads === true
  }

  /** How its store takes part in the control log, if it does. */
  raftView(): ReturnType<NodeMachine['raftView']> {
    return this.machine.raftView(this.now())
  }

  /** What it asked control for last would make this store a member. */
  asksFor(extent: ExtentId, store: StoreId): boolean {
    return this.setsAsked.get(extent)?.includes(store) === true
  }

  /** What it asked control for last would leave this store out. */
  asksWithout(extent: ExtentId, store: StoreId): boolean {
    return this.setsAsked.get(extent)?.includes(store) === false
  }

  begin(): void {
    this.world.observer.nodeStarted(this)
    this.startTicking(this.world.chance)
    this.run(() => this.tick())
  }

  /** A command through the node's own API. `then` is called with the answer, unless this process dies first. */
  admin(command: AdminCommand, then: () => void): void {
    const token = ++this.commands
    this.asked.set(token, then)
    this.run(() => this.feed({ type: 'admin', token, command }))
  }

  /** The store found out that it cannot be trusted. */
  distrust(reason: string): void {
    this.distrusted = true
    this.run(() => this.feed({ type: 'store-suspect', reason }))
  }

  /** The store reads all that it holds, as the shipped one does by itself, and says what it found. */
  scrub(): void {
    for (const { extent, blocks } of this.store.readAll())
      this.run(() => this.feed({ type: 'damage-found', extent, blocks }))
  }

  shutDown(): void {
    this.feed({ type: 'shut-down' })
  }

  kill(powerLoss: boolean, luckless = false): void {
    if (!this.alive()) return
    this.store.crash(luckless)
    this.end(powerLoss)
    this.world.observer.nodeEnded(this, powerLoss)
  }

  hello(): Hello {
    const { address } = this.node
    return {
      kind: 'node',
      wire: this.build === 0 ? WIRE_VERSION_BEFORE_LEVELS : WIRE_VERSION,
      store: this.disk.store,
      counter: this.counter,
      address,
      level: this.build,
      cluster: this.disk.identity.cluster,
    }
  }

  /** As the shipped handshake does. */
  refuses(peer: Hello): boolean {
    if (peer.kind !== 'node') return false
    const own = { name: this.host, cluster: this.disk.identity.cluster }
    return peer.level < this.machine.featureLevel || clusterProblem(own, { ...peer, name: peer.address }) !== undefined
  }

  linkUp(link: number, direction: 'in' | 'out', peer: Hello): void {
    const { cluster } = this.disk.identity
    if (peer.kind === 'node' && cluster !== undefined && peer.cluster !== undefined && cluster !== peer.cluster)
      this.world.observer.violation('one-cluster', `${this.host} is linked with ${peer.address} of another cluster`)
    this.feed({ type: 'link-up', link, direction, peer })
  }

  linkDown(link: number): void {
    this.feed({ type: 'link-down', link })
  }

  messages(link: number, messages: readonly Message[]): void {
    for (const message of messages) this.feed({ type: 'received', link, message })
  }

  dialFailed(): void {
    // A node keeps dialing; its machine is notified of connections only.
  }

  /** As the shell does: before each tick the machine gets the free space. */
  override now(): Millis {
    return this.nodeClock.now()
  }

  protected override beforeTurn(): void {
    this.nodeClock.quickCheck()
  }

  protected tick(): void {
    this.nodeClock.check()
    if (this.gauge !== undefined) {
      const room = this.gauge.look(this.now())
      this.machine.setSpace(room)
      this.world.observer.spaceReported(this, room)
    }
    this.feed({ type: 'tick' })
  }

  private feed(input: Input): void {
    if (!this.alive()) return
    const { observer } = this.world
    observer.nodeInput(this, input)
    try {
      const effects = this.machine.step(this.now(), input)
      this.reportCommitted()
      for (const effect of effects) {
        if (!this.alive()) return
        if (this.effectsLeft-- <= 0) {
          this.node.restart()
          return this.kill(false)
        }
        observer.nodeEffect(this, effect)
        this.executeEffects(effect)
      }
    } catch (error) {
      observer.violation('machine', `${this.host} threw: ${error instanceof Error ? error.stack : String(error)}`)
      this.kill(false)
    }
  }

  /** With several voters an entry counts from the moment at which one of them hands it over. */
  private reportCommitted(): void {
    const { logApplied } = this.machine
    if (logApplied === this.reported) return
    for (; this.reported < logApplied; this.reported++) {
      const entry = this.disk.log.entry(this.reported + 1)
      if (entry !== undefined && entry !== 'in the snapshot') this.world.observer.logCommitted(this, entry)
    }
    const { leader } = this.machine
    if (leader !== undefined) this.world.observer.logApplied(this, logApplied, leader.state)
  }

  /**
   * As the shell does: the machine reports why it ends, and gets nothing more. A store that failed or is suspect ends its
   * process, and its supervisor starts it again. Nothing else may.
   */
  private giveUp({ kind, reason }: Extract<Effect, { type: 'fatal' }>): void {
    this.feed({ type: 'ending', kind, reason, at: this.wallMs() })
    this.network.flush()
    if (this.store.failed || this.distrusted) this.node.restart()
    else this.world.observer.nodeFatal(this, reason)
    this.kill(false)
  }

  private wallMs(): number {
    return Math.max(0, Math.round(this.sinceBoot() + this.node.wallAheadMs))
  }

  private executeEffects(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (effect.message.type === 'change-sets')
          for (const { extent, inSync } of effect.message.changes) this.setsAsked.set(extent, inSync)
        return this.network.send(this, effect.link, effect.message)
      case 'close-link':
        return this.network.closeLink(this, effect.link)
      case 'dial':
        return this.network.setDialed(
          this,
          effect.addresses.filter((address) => address !== this.node.address),
        )
      case 'reply-read':
        return this.network.send(this, effect.link, readDone(effect))
      case 'event':
        if (effect.event.what === 'registration-refused') this.refused = true
        return
      case 'admin-done':
        this.asked.get(effect.token)?.()
        return void this.asked.delete(effect.token)
      case 'handed-over':
        this.node.restart()
        return this.kill(false)
      case 'fatal':
        return this.giveUp(effect)
      default:
        return this.store.execute(effect)
    }
  }
}

function newStoreId(chance: Chance): StoreId {
  const hex = (digits: number): string => {
    let text = ''
    while (text.length < digits) text += chance.integer(0, 15).toString(16)
    return text
  }
  return `${hex(8)}-${hex(4)}-7${hex(3)}-8${hex(3)}-${hex(12)}` as StoreId
}

function readDone(effect: Extract<Effect, { type: 'reply-read' }>): Message {
  const parts: ReadPart[] = []
  const blocks = new Map<number, LoadedBlock>(effect.blocks.map((block) => [block.block, block]))
  for (const part of splitBlocks(effect.blockSizeBytes, effect.offset, effect.length)) {
    const whole = blocks.get(part.block)?.bytes
    if (whole === undefined) parts.push({ length: part.length, checksum: 0 })
    else {
      const bytes = whole.subarray(part.offset, part.offset + part.length)
      parts.push({ length: part.length, checksum: crc32(bytes), bytes })
    }
  }
  return { type: 'read-done', request: effect.request, parts }
}
