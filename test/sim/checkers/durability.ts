import type { Effect, ReplicaChange } from '@ashlar/node/core'
import {
  type BlockIndex,
  type BlockVersion,
  type Epoch,
  type ExtentId,
  type Operation,
  type Seq,
  type StoreId,
  volumeOf,
} from '@ashlar/proto'
import type { Disk } from '../world/disk.ts'
import type { NodeProcess } from '../world/node-host.ts'
import type { ControlTruth, Entrance } from './control-truth.ts'
import type { Report } from './report.ts'
import type { Request } from './requests.ts'

type Position = Pick<BlockVersion, 'epoch' | 'seq'>

/** One application of an operation by a primary, under one epoch. */
interface Application {
  readonly position: Position
  readonly blocks: readonly BlockIndex[]
}

/**
 * What was acknowledged is on stable storage (A3-4 and A3-5): at the moment of the answer on every member of the
 * in-sync set that control has, and ever after on every store that becomes primary. Nothing that promises durability
 * leaves a node before what it promises is durable there (protocol A2.14).
 */
export class Durability {
  private readonly truth: ControlTruth
  private readonly report: Report
  /** Disks that exist, by store. A disk that was replaced is lost. */
  private readonly disks: ReadonlyMap<string, Disk>
  private readonly applications = new Map<string, Application[]>()
  private readonly acknowledged = new Map<ExtentId, Map<BlockIndex, Position>>()
  /** Operations that were answered with success, by extent, session and number. */
  private readonly answers = new Set<string>()
  /** Those that a forced promotion may have undone: a late retry is done again. */
  private readonly forgiven = new Set<string>()

  constructor(truth: ControlTruth, disks: ReadonlyMap<string, Disk>, report: Report) {
    this.truth = truth
    this.disks = disks
    this.report = report
  }

  /** Writes and erasures that were answered with success. */
  get acknowledgements(): number {
    return this.answers.size
  }

  /** A store is asked to commit a change: remembers what an operation became. */
  changed(change: ReplicaChange): void {
    const { operation, blocks } = change
    if (operation === undefined || operation.cancel) return
    const key = keyOf(change.extent, operation)
    const known = this.applications.get(key) ?? []
    const [first] = blocks
    if (first === undefined) {
      // It changes nothing on this primary, whatever it was on an earlier one, whose change was rolled back.
      if (known.at(-1)?.blocks.length !== 0) this.applications.set(key, [...known, NOTHING])
      return
    }
    if (known.some(({ position }) => compare(position, first.version) === 0)) return
    if (this.answers.has(key) && !this.forgiven.has(key)) {
      this.report.violation('applied-once', `operation ${key} (extent:session:op) was applied again after its answer`)
    }
    const application = { position: first.version, blocks: blocks.map(({ block }) => block) }
    this.applications.set(key, [...known, application])
  }

  /** A write or a discard was answered with success. */
  answered(node: NodeProcess, request: Extract<Request, { type: 'write' | 'zero' }>): void {
    const { extent, operation } = request
    const key = keyOf(extent, operation)
    this.answers.add(key)
    const applications = this.applications.get(key) ?? []
    const held = applications.findLast((application) => holds(node.disk, extent, application))
    if (held === undefined || held.blocks.length === 0) {
      // A discard of blocks without a version changes nothing, also where an earlier primary had something to discard.
      if (request.type === 'write') this.report.violation('acked-durable', `${name(request)} was acked, never applied`)
      return
    }
    this.checkMembers(node, request, 'acked-durable', this.truth.record(extent)?.inSync, applications)
    const kept = node.disk.replicas.get(extent)?.head.record?.inSync
    this.checkMembers(node, request, 'acked-under-kept-record', kept, applications)
    this.checkEnough(node, extent)
    this.remember(extent, held)
  }

  /**
   * A primary serves from here on: it must hold all that was acknowledged up to its epoch, and enough others with it.
   * One that was replaced without knowing it yet has no lease, so what later epochs acknowledged is not its concern.
   */
  activated(node: NodeProcess, extent: ExtentId, epoch: Epoch): void {
    // What it lost under its digests it has not read yet, and returns to no reader (A2.17-6).
    if (!node.disk.lost.has(extent))
      this.checkHolds('acked-survives', `${node.host} serves extent ${extent}`, node.disk, extent, epoch)
    this.checkEnough(node, extent)
    this.checkPromised(node, extent, epoch)
  }

  /** The cluster is made of what is left of another one, whose clients have ended. */
  inherit(former: Durability): void {
    for (const [extent, blocks] of former.acknowledged) this.acknowledged.set(extent, new Map(blocks))
  }

  /**
   * An operator gave the extent to a store that may lack what was acknowledged: from here on only what comes later must
   * stay.
   */
  forced(extent: ExtentId): void {
    this.acknowledged.delete(extent)
    for (const key of this.applications.keys()) if (key.startsWith(`${extent}:`)) this.forgiven.add(key)
  }

  /** A store counts from here on: the next primary may be this one. */
  entered({ extent, store }: Entrance): void {
    const disk = this.disks.get(store)
    // A request from before it dropped something may add it, for as long as it has not registered as suspect.
    if (disk !== undefined && !disk.incomplete.has(extent))
      this.checkHolds('in-sync-holds-all', `${store} is in sync on extent ${extent}`, disk, extent)
    if (disk !== undefined && !disk.suspicion.has(extent)) this.checkRead(disk, extent)
  }

  /** A2.17: of a suspect replica every byte was read before it counts, so that its rot is known. */
  private checkRead({ store, unread }: Disk, extent: ExtentId): void {
    for (const block of unread.get(extent) ?? [])
      this.report.violation(
        'counts-unread',
        `${store} counts on extent ${extent}, its rotten block ${block} was not read`,
      )
  }

  /** Every member of a set, as far as its disk exists, holds one of the applications. */
  private checkMembers(
    node: NodeProcess,
    request: Extract<Request, { type: 'write' | 'zero' }>,
    rule: string,
    members: readonly StoreId[] | undefined,
    applications: readonly Application[],
  ): void {
    for (const store of members ?? []) {
      const disk = this.disks.get(store)
      // What a store dropped after it acknowledged it is lost there, and the store says so when it is opened (amendment
      // 11).
      if (disk === undefined || disk.incomplete.has(request.extent)) continue
      if (applications.some((application) => holds(disk, request.extent, application))) continue
      this.report.violation(rule, `${node.host} acked ${name(request)}, not durable on ${store}`)
    }
  }

  /** Amendments 1 and 2: counted by the set that control has committed and this primary has learned. */
  private checkEnough(node: NodeProcess, extent: ExtentId): void {
    const inSync = node.store.head(extent)?.record?.inSync.length ?? 0
    if (inSync >= (this.truth.volume(volumeOf(extent))?.minInSync ?? 1)) return
    this.report.violation('min-in-sync', `${node.host} serves extent ${extent} with ${inSync} in sync`)
  }

  /**
   * Every member of the set that the primary acts under has promised its epoch, durably (A2.8-3). A primary that slept
   * while its volume was removed may act on promises of replicas that are dropped since; it has no lease, so that it
   * serves no client.
   */
  private checkPromised(node: NodeProcess, extent: ExtentId, epoch: Epoch): void {
    if (this.truth.volume(volumeOf(extent)) === undefined) return
    for (const store of node.store.head(extent)?.record?.inSync ?? []) {
      const disk = this.disks.get(store)
      const promised = disk?.replicas.get(extent)?.head.promised
      if (disk === undefined || disk.incomplete.has(extent) || (promised !== undefined && promised >= epoch)) continue
      this.report.violation(
        'all-promised',
        `${node.host} serves extent ${extent} in ${epoch}; ${store} has ${promised}`,
      )
    }
  }

  private checkHolds(rule: string, what: string, disk: Disk, extent: ExtentId, upTo = Infinity): void {
    for (const [block, position] of this.acknowledged.get(extent) ?? []) {
      if (position.epoch > upTo) continue
      const held = disk.replicas.get(extent)?.versions.get(block)
      if (held !== undefined && compare(held, position) >= 0) continue
      this.report.violation(rule, `${what} without acked (${position.epoch}, ${position.seq}) of block ${block}`)
    }
  }

  /** Checks what a message promises against what is on the sender's disk (A2.14). */
  sending(node: NodeProcess, effect: Extract<Effect, { type: 'send' }>): void {
    const { message } = effect
    const early = (what: string): void => this.report.violation('persist-before-send', `${node.host} sent ${what}`)
    switch (message.type) {
      case 'opened': {
        const promised = node.disk.replicas.get(message.extent)?.head.promised ?? 0
        if (promised < message.epoch) early(`OPENED for epoch ${message.epoch}, durably promised is ${promised}`)
        return
      }
      case 'open': {
        const head = node.disk.replicas.get(message.extent)?.head
        if ((head?.led ?? 0) < message.epoch) early(`OPEN of epoch ${message.epoch}, durably led is ${head?.led}`)
        return
      }
      case 'ack': {
        const lastSeq = node.disk.replicas.get(message.extent)?.head.lastSeq ?? 0
        if (message.seq > lastSeq) early(`ACK of seq ${message.seq}, durable is ${lastSeq}`)
        return
      }
      case 'map-update':
        if (message.delta.to > this.truth.map.revision) early(`map revision ${message.delta.to} before it was durable`)
        return
      case 'renewed':
      case 'registered':
      case 'admin-done':
        if (message.revision > this.truth.map.revision) early(`${message.type} before its entry was durable`)
        return
      case 'sets-changed':
        for (const { extent, record } of message.results) {
          // Its volume may be removed by the next entry already, of the same step.
          const durable = this.truth.record(extent)?.revision ?? Number.POSITIVE_INFINITY
          if (record !== undefined && record.revision > durable) early(`sets-changed before its entry was durable`)
        }
    }
  }

  private remember(extent: ExtentId, application: Application): void {
    let blocks = this.acknowledged.get(extent)
    if (blocks === undefined) {
      blocks = new Map()
      this.acknowledged.set(extent, blocks)
    }
    for (const block of application.blocks) {
      const known = blocks.get(block)
      if (known === undefined || compare(known, application.position) < 0) blocks.set(block, application.position)
    }
  }
}

/** What an operation became that changes no block. */
const NOTHING: Application = { position: { epoch: 0 as Epoch, seq: 0 as Seq }, blocks: [] }

function holds(disk: Disk, extent: ExtentId, application: Application): boolean {
  const versions = disk.replicas.get(extent)?.versions
  return (
    versions !== undefined &&
    application.blocks.every((block) => compare(versions.get(block), application.position) >= 0)
  )
}

function compare(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq
}

function keyOf(extent: ExtentId, operation: { readonly session: number; readonly op: number }): string {
  return `${extent}:${operation.session}:${operation.op}`
}

function name(request: { readonly extent: ExtentId; readonly operation: Operation }): string {
  return `operation ${request.operation.op} of session ${request.operation.session} on extent ${request.extent}`
}
