import type { Input, StoredReplica } from '@ashlar/node/core'
import { type BlockIndex, type BlockVersion, type ExtentId, sameVersion } from '@ashlar/proto'
import type { BatchOperation } from '../../../packages/node/src/storage/driver.ts'
import { extentKey } from '../../../packages/node/src/storage/encoding/keyspace.ts'
import { formatDriver } from '../../../packages/node/src/storage/open/format.ts'
import { openStoreOnDriver } from '../../../packages/node/src/storage/open/open-store.ts'
import type { ReplicaStore } from '../../../packages/node/src/storage/replica-store.ts'
import type { Complete } from '../../../packages/node/src/storage/store.ts'
import type { Disk } from './disk.ts'
import { type DiskEffect, OpenStore, type StoreWorld } from './open-store.ts'
import { applyWrite, cloneOf, type Write } from './recent-writes.ts'
import type { ReplicaImage } from './replica-image.ts'
import { ShippedDriver } from './shipped-driver.ts'
import { differenceOf, readShipped } from './shipped-image.ts'
import { VirtualTurns } from './virtual-turns.ts'

type Shipped = Parameters<ReplicaStore['execute']>[0]
/** Small, so that a short incarnation meets every threshold. */
const TUNING = { leafCapacity: 2, checkpointBatches: 7, checkpointIdleMs: 500, maxRepairsPerHour: 1_000_000 }
/** Of what the simulator itself asks of the store. */
const OWN_TOKEN = -1

/**
 * One opening of a disk by the store that ships, over its memory driver, in virtual time. Inputs of the machine
 * come from that store: what it opened, and every read. The simulator's own image goes on beside it, for the checkers,
 * with each write that the store acknowledged; after a crash the two must agree about all that is on stable storage.
 */
export class ShippedStore extends OpenStore {
  private readonly turns: VirtualTurns
  private readonly driver: ShippedDriver
  private readonly shipped: ReplicaStore
  /** Handed over, and not known to be on stable storage. */
  private handedOver: Write[] = []
  private completed: Input[] = []
  /** Versions that a read in flight has to find, by its token. */
  private readonly expected = new Map<number, BlockVersion[]>()
  private batch: readonly BatchOperation[] | undefined
  private turnDue = false

  constructor(disk: Disk, world: StoreWorld) {
    super(disk, world)
    this.turns = new VirtualTurns(world.clock)
    this.driver = new ShippedDriver(disk.entries)
    this.shipped = this.open()
    this.driver.times = {
      sync: (batch, end, fail) => this.sync(batch, end, fail),
      read: (end, fail) => this.finishRead(end, fail),
    }
  }

  private open(): ReplicaStore {
    const { store, identity, entries } = this.disk
    const complete: Complete = (input) => this.onComplete(input)
    const opened = this.turns.result(async () => {
      if (entries.entries.size === 0) await formatDriver(this.driver, store)
      return await openStoreOnDriver(
        this.driver,
        { expected: store, bootId: `start-${identity.counter}`, tuning: TUNING },
        complete,
      )
    })
    const { suspicion } = opened.identity
    if (suspicion !== undefined) this.world.violation('shipped-store', `${store} became suspect: ${suspicion}`)
    return opened
  }

  override stored(): readonly StoredReplica[] {
    return this.shipped.replicas
  }

  override execute(effect: DiskEffect): void {
    if (this.failed) return
    switch (effect.type) {
      case 'log-append':
      case 'raft-persist':
      case 'save-cluster':
        return super.execute(effect)
      case 'save-level':
        super.execute(effect)
        return this.hand(effect)
      case 'create-replica':
      case 'drop-replica':
        if (this.visible.has(effect.extent) === (effect.type === 'create-replica')) return
        return this.write(effect)
      case 'commit':
      case 'repair':
        return this.write(effect)
      default:
        if (effect.type === 'load') this.asked(effect.token, effect.extent, effect.blocks)
        if (effect.type === 'merge') this.asked(effect.token, effect.extent, [effect.block])
        return this.hand(effect)
    }
  }

  /** A read sees every write that was handed over before it, and none after. */
  private asked(token: number, extent: ExtentId, blocks: readonly BlockIndex[]): void {
    this.disk.seen(extent, blocks)
    const { versions } = this.visible.get(extent) as ReplicaImage
    this.expected.set(
      token,
      blocks.map((block) => versions.get(block)),
    )
  }

  private checkRead(token: number, versions: readonly BlockVersion[]): void {
    const expected = this.expected.get(token) ?? []
    this.expected.delete(token)
    for (const [place, version] of versions.entries()) {
      const wanted = expected[place] as BlockVersion
      if (sameVersion(version, wanted)) continue
      const [found, due] = [version, wanted].map(({ epoch, seq }) => `(${epoch}, ${seq})`)
      this.world.violation(
        'shipped-store',
        `${this.disk.store} read version ${found} where ${due} was handed over before`,
      )
    }
  }

  private write(effect: Write): void {
    applyWrite(this.visible, effect)
    this.handedOver.push(effect)
    this.hand(effect)
  }

  private hand(effect: Shipped): void {
    this.turns.call(() => this.shipped.execute(effect))
    this.turnSoon()
  }

  /** Everything that was asked for at one moment shares a turn of the event loop. */
  private turnSoon(): void {
    if (this.turnDue) return
    this.turnDue = true
    this.world.clock.after(0, () => {
      this.turnDue = false
      if (!this.failed) this.turn(() => {})
    })
  }

  private turn(action: () => void): void {
    this.turns.enter(action)
    this.deliver()
  }

  private onComplete(input: Parameters<Complete>[0]): void {
    if (input.type === 'loaded') {
      const { token, blocks } = input
      this.checkRead(
        token,
        blocks.map(({ version }) => version),
      )
    }
    if (input.type === 'merged') this.checkRead(input.token, [input.base])
    if (input.type === 'committed') {
      if (input.token !== OWN_TOKEN) this.keepUpTo(input.token)
      else return
    }
    if (input.type === 'store-suspect')
      this.world.violation('shipped-store', `${this.disk.store} found that it lost something: ${input.reason}`)
    this.completed.push(input)
    if (!this.turnDue) this.turnSoon()
  }

  /** The write with this token is on stable storage, and so is every one before it. */
  private keepUpTo(token: number): void {
    const place = this.handedOver.findIndex((write) => 'token' in write && write.token === token)
    if (place < 0) return this.world.violation('shipped-store', `write ${token} was acknowledged out of order`)
    this.keep(place + 1)
  }

  private keep(count: number): void {
    if (count > 0) this.disk.keep(this.handedOver.splice(0, count))
  }

  private deliver(): void {
    const inputs = this.completed
    if (inputs.length === 0) return
    this.completed = []
    if (inputs.some(({ type }) => type === 'store-failed')) this.crash()
    this.world.complete(inputs)
  }

  // ---- what the driver does -----------------------------------------------------------------------------------------

  private sync(batch: readonly BatchOperation[], end: () => void, fail: (error: Error) => void): void {
    const { clock } = this.world
    this.batch = batch
    this.lastSyncAt = Math.max(this.lastSyncAt, clock.now + this.syncMs() + this.disk.extraSyncMs)
    clock.at(this.lastSyncAt, () => {
      if (this.failed || this.disk.hangs.has('store')) return
      const error = this.syncError()
      if (error !== undefined) return this.turn(() => fail(new Error(error)))
      this.batch = undefined
      this.turn(end)
      this.keepShapes(batch)
    })
  }

  private syncError(): string | undefined {
    const { chance, faults } = this.world
    if (!this.world.calm() && chance.happens(faults.errorPerBatch)) return 'simulated write error'
    if (this.disk.full) return 'simulated lack of space'
    if (!this.disk.storeFails) return undefined
    this.disk.storeFails = false
    return 'simulated write error'
  }

  /** Replicas that were made or dropped by this batch: nothing says so when no change comes after. */
  private keepShapes(batch: readonly BatchOperation[]): void {
    const heads = new Set(batch.map(({ type, key }) => `${type} ${hexOf(key)}`))
    for (let first = this.handedOver[0]; first !== undefined; first = this.handedOver[0]) {
      if (first.type !== 'create-replica' && first.type !== 'drop-replica') return
      const operation = first.type === 'create-replica' ? 'put' : 'del'
      if (!heads.has(`${operation} ${hexOf(extentKey('head', first.extent))}`)) return
      this.keep(1)
    }
  }

  private finishRead(end: () => void, fail: (error: Error) => void): void {
    this.world.clock.after(this.readMs() + this.disk.extraReadMs, () => {
      if (this.failed || this.disk.hangs.has('reads')) return
      if (!this.disk.readFails) return this.turn(end)
      this.disk.readFails = false
      this.turn(() => fail(new Error('simulated read error')))
    })
  }

  // ---- the end ------------------------------------------------------------------------------------------------------

  override crash(luckless = false): void {
    if (this.failed) return
    super.crash(luckless)
    this.turns.end()
    const survives = this.batch !== undefined && !luckless && this.world.chance.happens(0.5)
    for (const operation of survives ? (this.batch ?? []) : []) {
      if (operation.type === 'put') this.disk.entries.entries.set(operation.key, operation.value)
      else this.disk.entries.entries.delete(operation.key)
    }
    this.agree()
  }

  /**
   * What is on stable storage is what the store acknowledged, or that and some of what it was handed over after that.
   */
  private agree(): void {
    const found = readShipped(this.disk.entries, this.world.clock)
    if (this.disk.entries.entries.size === 0) return
    const image = cloneOf(this.disk.replicas)
    const first = differenceOf(found, image)
    if (first === undefined) return
    for (const [place, write] of this.handedOver.entries()) {
      applyWrite(image, write)
      if (differenceOf(found, image) === undefined) return this.keep(place + 1)
    }
    this.world.violation('shipped-store', `${this.disk.store} has after a crash what was never written: ${first}`)
  }

  override get idle(): boolean {
    return this.handedOver.length === 0 && this.completed.length === 0 && super.idle
  }

  // ---- rot ----------------------------------------------------------------------------------------------------------

  override rot(extent: ExtentId, block: BlockIndex): void {
    super.rot(extent, block)
    this.disk.rotEntry(extent, block)
  }

  override mend(extent: ExtentId, block: BlockIndex): void {
    super.mend(extent, block)
    this.disk.mendEntry(extent, block)
    const { version, bytes } = this.visible.get(extent)?.load(block) ?? {}
    if (version !== undefined && bytes !== undefined)
      this.hand({ type: 'repair', token: OWN_TOKEN, extent, block, version, bytes })
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
