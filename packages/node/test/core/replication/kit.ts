import { crc32 } from 'node:zlib'
import {
  ABSENT_VERSION,
  type BlockVersion,
  type ClusterId,
  type Epoch,
  type ExtentRecord,
  FEATURE_LEVEL,
  type Message,
  type NodeName,
  type SetChange,
  type StoreId,
  sameVersion,
  type VolumeRecord,
  WIRE_VERSION,
} from '@ashlar/proto'
import type { ControlView, PeerLinks } from '../../../src/core/interfaces.ts'
import type { Context, Effect, Link, StoredReplica } from '../../../src/core/machine.ts'
import { Replication } from '../../../src/core/replication/index.ts'
import { Host } from './host.ts'
import { BLOCK, BLOCKS, EXTENT, VOLUME } from './requests.ts'

export const CLIENT: Link = 900

const OF_A_REPLICA: ReadonlySet<Effect['type']> = new Set([
  'commit',
  'load',
  'merge',
  'digests',
  'versions',
  'allocation',
  'drop-replica',
  'repair',
])

/** Stores that share one extent, a control that a test plays by hand, and messages that a test may hold back. */
export class World {
  now = 1000
  private tokens = 0
  readonly hosts = new Map<StoreId, Host>()
  record: ExtentRecord
  volume: VolumeRecord
  /** Messages on their way, in order. */
  readonly wire: { from: StoreId; to: StoreId; link: Link; message: Message }[] = []
  readonly answers: Message[] = []
  /** Messages for which this says true stay on the wire. */
  hold: (from: StoreId, to: StoreId, message: Message) => boolean = () => false
  /** When the last frame came from a store that has no connection; long ago where it is undefined. */
  lastFrameAt: number | undefined
  /** Pairs without a connection, as `from>to`. */
  readonly cut = new Set<string>()
  revision = 1
  /** Wire version of every link. */
  wireVersion: number = WIRE_VERSION
  featureLevel = 0

  constructor(stores: readonly string[], options: { minInSync?: number; inSync?: readonly string[] } = {}) {
    const ids = stores as readonly StoreId[]
    this.volume = {
      id: VOLUME,
      name: 'demo',
      sizeBytes: BLOCK * BLOCKS,
      blockSizeBytes: BLOCK,
      extentSizeBytes: BLOCK * BLOCKS,
      replicas: ids.length,
      minInSync: options.minInSync ?? 2,
      generation: 1,
      holders: [],
      changedAt: 1,
    }
    this.record = {
      id: EXTENT,
      revision: 1,
      epoch: 1 as Epoch,
      primary: { store: ids[0] as StoreId, counter: 1 },
      inSync: (options.inSync ?? ids) as readonly StoreId[],
      eligible: [],
      assigned: ids,
      changedAt: 1,
    }
    for (const id of ids) this.hosts.set(id, new Host(id))
    for (const id of ids) this.boot(id)
  }

  host(store: string): Host {
    const host = this.hosts.get(store as StoreId)
    if (host === undefined) throw new Error(`no store ${store}`)
    return host
  }

  private boot(store: StoreId): void {
    const host = this.host(store)
    const links: PeerLinks = {
      dialed: (other) => (this.connected(store, other) ? this.linkTo(store, other) : undefined),
      dialedAddress: () => undefined,
      storeOf: (link) => this.storeOf(store, link),
      counterOf: (link) => this.hosts.get(this.storeOf(store, link) as StoreId)?.counter,
      wireOf: () => this.wireVersion,
      levelOf: () => FEATURE_LEVEL,
      lastHeard: (other) => (this.connected(store, other) ? this.now : 0),
      lastFrame: (other) => (this.connected(store, other) ? this.now : (this.lastFrameAt ?? 0)),
    }
    const control: ControlView = {
      map: host.map,
      leaseHeld: () => host.lease,
      mapAsOf: () => host.mapAsOf,
      requestChange: (_ctx, change) => host.changes.push(change),
      reportPromises: (_ctx, extents) => host.promises.push(...extents),
      release: (_ctx, extents, reason) => {
        for (const { epoch } of extents) host.released.push({ reason, epoch })
      },
    }
    const stored: StoredReplica[] = host.disk.exists ? [host.disk.stored()] : []
    const { counter, trust } = host
    host.replication = new Replication({ self: store, counter, trust, control, links, replicas: stored })
  }

  private order(store: StoreId): number {
    return [...this.hosts.keys()].indexOf(store)
  }
  private linkTo(from: StoreId, to: StoreId): Link {
    return 1 + this.order(from) * 10 + this.order(to)
  }
  private storeOf(self: StoreId, link: Link): StoreId | undefined {
    const [from, to] = [Math.floor((link - 1) / 10), (link - 1) % 10].map((at) => [...this.hosts.keys()][at])
    return from === self ? to : from
  }
  connected(a: StoreId, b: StoreId): boolean {
    return this.host(a).up && this.host(b).up && !this.cut.has(`${a}>${b}`) && !this.cut.has(`${b}>${a}`)
  }

  private run(store: StoreId, action: (ctx: Context) => void): void {
    const host = this.host(store)
    if (!host.up) return
    const effects: Effect[] = []
    const ctx: Context = {
      now: this.now,
      emit: (effect) => effects.push(effect),
      token: () => ++this.tokens,
      random: () => 0.5,
      event: (_level, what, details) => host.events.push({ what, ...details }),
    }
    action(ctx)
    host.replication.endStep(ctx)
    for (const effect of effects) this.carry(store, host, effect)
  }

  private carry(store: StoreId, host: Host, effect: Effect): void {
    const { disk } = host
    // As a store does: what is done to a replica that is not there is a broken promise of the machines.
    if (OF_A_REPLICA.has(effect.type) && !disk.exists)
      throw new Error(`${effect.type} of a replica that ${store} has not`)
    const complete = (input: Parameters<Replication['onCompletion']>[1]) =>
      this.run(store, (ctx) => host.replication.onCompletion(ctx, input))
    switch (effect.type) {
      case 'send': {
        if (effect.link === CLIENT) this.answers.push(effect.message)
        else
          this.wire.push({
            from: store,
            to: this.storeOf(store, effect.link) as StoreId,
            link: effect.link,
            message: effect.message,
          })
        return
      }
      case 'create-replica':
        disk.exists = true
        return
      case 'drop-replica':
        disk.exists = false
        return
      case 'commit': {
        for (const { block, version, bytes } of effect.change.blocks) {
          disk.table.set(block, version)
          disk.damaged.delete(block)
          if (bytes === undefined) disk.bytes.delete(block)
          else disk.bytes.set(block, bytes)
        }
        disk.head = { ...disk.head, ...effect.change.head }
        if (effect.change.windows !== undefined) disk.windows.replace(effect.change.windows)
        const { operation } = effect.change
        if (operation !== undefined) disk.windows.record(operation)
        host.pending.push({ token: effect.token })
        if (host.autoSync) this.sync(store)
        return
      }
      case 'load': {
        const blocks = effect.blocks.map((block) => disk.load(block))
        host.reads.push(() => complete({ type: 'loaded', token: effect.token, blocks }))
        if (host.autoRead) this.finishReads(store)
        return
      }
      case 'merge': {
        const base = disk.load(effect.block)
        const bytes = new Uint8Array(base.bytes ?? new Uint8Array(BLOCK))
        for (const patch of effect.patches) bytes.set(patch.bytes ?? new Uint8Array(patch.length), patch.offset)
        return complete({
          type: 'merged',
          token: effect.token,
          base: base.version,
          damaged: base.damaged,
          bytes,
          checksum: crc32(bytes),
        })
      }
      case 'digests':
        return complete({
          type: 'digests',
          token: effect.token,
          root: disk.table.digests.rootBytes(),
          leaves: disk.table.digests.leafBytes(),
        })
      case 'versions':
        return complete({
          type: 'versions',
          token: effect.token,
          leaves: effect.leaves.map((leaf) => ({ leaf, versions: disk.table.versionsOf(leaf) })),
        })
      case 'allocation':
        return complete({
          type: 'allocation',
          token: effect.token,
          runs: disk.table.runs(effect.firstBlock, effect.blocks),
        })
      case 'repair': {
        // As a store does: bytes of another version than the block's are left out.
        if (sameVersion(disk.table.get(effect.block), effect.version)) {
          disk.bytes.set(effect.block, effect.bytes)
          disk.damaged.delete(effect.block)
        }
        return complete({ type: 'committed', token: effect.token })
      }
      case 'reply-read':
        this.answers.push({
          type: 'read-done',
          request: effect.request,
          parts: effect.blocks.map((block) => ({
            length: BLOCK,
            checksum: block.version.checksum,
            ...(block.bytes === undefined ? {} : { bytes: block.bytes }),
          })),
        })
        return
      case 'handed-over':
        host.handedOver = true
        return
      default:
        return
    }
  }

  /** A store reads a block by itself, as a scrub does, and reports damage to its machine. */
  scrub(store: string, block: number): void {
    const host = this.host(store)
    const loaded = host.disk.load(block)
    if (loaded.damaged) this.run(store as StoreId, (ctx) => host.replication.onDamageFound(ctx, EXTENT, [loaded]))
  }

  /** The version of a block is lost on the disk of a store, which finds that; false where this incarnation cannot go on. */
  loseVersion(store: string, block: number): boolean {
    const { disk, replication } = this.host(store)
    disk.table.set(block, ABSENT_VERSION)
    disk.bytes.delete(block)
    disk.sync()
    let goesOn = false
    this.run(store as StoreId, (ctx) => {
      goesOn = replication.onVersionsLost(ctx, EXTENT)
    })
    return goesOn
  }

  /** A trusted store finds that it lost versions. */
  stopServing(store: string): void {
    this.run(store as StoreId, (ctx) => this.host(store).replication.stopServing(ctx, EXTENT))
  }

  /** Everything that a store was handed becomes durable, and its machine learns it. */
  sync(store: string): void {
    const host = this.host(store)
    host.disk.sync()
    const done = host.pending.splice(0)
    for (const { token } of done)
      this.run(store as StoreId, (ctx) => host.replication.onCompletion(ctx, { type: 'committed', token }))
  }

  /** Answers what a store was asked to read. */
  finishReads(store: string): void {
    for (const finish of this.host(store).reads.splice(0)) finish()
  }

  /** Tells every store (or those named) the current record and volume. */
  publish(stores: readonly string[] = [...this.hosts.keys()]): void {
    for (const store of stores) {
      const host = this.host(store)
      this.revision += 1
      host.map.apply({
        cluster: 'c' as ClusterId,
        clusterGeneration: 0,
        featureLevel: this.featureLevel,
        from: host.map.revision,
        to: this.revision,
        voters: [],
        nodes: [...this.hosts].map(([id, { counter, trust, state }]) => ({
          store: id,
          name: id as unknown as NodeName,
          address: `${id}:1`,
          api: '',
          incarnation: { bootId: 'b', counter },
          trust,
          state,
          changedAt: 1,
        })),
        volumes: [this.volume],
        extents: [this.record],
        removedVolumes: [],
      })
      this.run(store as StoreId, (ctx) => host.replication.onMapChanged(ctx, [EXTENT], []))
    }
  }

  /** Control commits a change of the record and publishes it. */
  change(change: Partial<ExtentRecord>, stores?: readonly string[]): void {
    this.record = { ...this.record, ...change, revision: this.record.revision + 1 }
    this.publish(stores)
  }

  /** Control removes the volume, and every store learns it. */
  remove(): void {
    for (const [store, host] of this.hosts) {
      this.revision += 1
      const { cluster, voters, revision: from } = host.map
      if (cluster === undefined) throw new Error(`${store} has no map to remove a volume from`)
      const records = { nodes: [], volumes: [], extents: [], removedVolumes: [VOLUME] }
      host.map.apply({ cluster, clusterGeneration: 0, from, to: this.revision, voters, ...records })
      this.run(store, (ctx) => host.replication.onMapChanged(ctx, [], [EXTENT]))
    }
  }

  /** Control commits the last request of a primary, and responds. */
  grant(store: string): SetChange {
    const host = this.host(store)
    const change = host.changes.pop()
    if (change === undefined) throw new Error(`${store} asked for no change`)
    host.changes.length = 0
    this.change({ inSync: change.inSync })
    this.run(store as StoreId, (ctx) => host.replication.onSetChanged(ctx, change))
    return change
  }

  /** Control responds to the releases of a store, and names no other primary. */
  refuseRelease(store: string): void {
    const host = this.host(store)
    const extents = host.released.map(({ epoch }) => ({ extent: EXTENT, epoch }))
    this.run(store as StoreId, (ctx) => host.replication.onReleased(ctx, extents))
  }

  /** Delivers messages until nothing moves any more but what is held back. */
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false
      for (let at = 0; at < this.wire.length; at++) {
        const { from, to, link, message } = this.wire[at] as (typeof this.wire)[number]
        if (this.hold(from, to, message)) continue
        this.wire.splice(at, 1)
        moved = true
        if (this.connected(from, to)) this.run(to, (ctx) => this.host(to).replication.onMessage(ctx, link, message))
        break
      }
    }
  }

  /** Lets time pass in steps of one tick, delivering as it goes. */
  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50
      for (const store of this.hosts.keys()) this.run(store, (ctx) => this.host(store).replication.onTick(ctx))
      this.settle()
    }
  }

  /** The process dies: what is not durable is lost, its links go down. */
  kill(store: string): void {
    const host = this.host(store)
    host.up = false
    host.pending.length = 0
    host.reads.length = 0
    host.disk.crash()
    for (let at = this.wire.length - 1; at >= 0; at--)
      if (this.wire[at]?.from === store || this.wire[at]?.to === store) this.wire.splice(at, 1)
    for (const other of this.hosts.keys())
      for (const link of [this.linkTo(other, store as StoreId), this.linkTo(store as StoreId, other)])
        this.run(other, (ctx) => this.host(other).replication.onLinkDown(ctx, link))
  }

  /** The connections of two stores break, with all that is on its way; others stand at once. */
  reconnect(a: string, b: string): void {
    const ends = [a, b]
    for (let at = this.wire.length - 1; at >= 0; at--) {
      const { from, to } = this.wire[at] as (typeof this.wire)[number]
      if (ends.includes(from) && ends.includes(to)) this.wire.splice(at, 1)
    }
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as [StoreId, StoreId][])
      for (const self of [from, to])
        this.run(self, (ctx) => this.host(self).replication.onLinkDown(ctx, this.linkTo(from, to)))
  }

  start(store: string): void {
    const host = this.host(store)
    host.up = true
    host.counter += 1
    this.boot(store as StoreId)
    host.map.revision = 0
    this.publish([store])
  }

  /** A message between two stores that no machine sent. */
  deliver(from: string, to: string, message: Message): void {
    const [source, target] = [from, to] as StoreId[]
    const link = this.linkTo(source as StoreId, target as StoreId)
    this.run(target as StoreId, (ctx) => this.host(to).replication.onMessage(ctx, link, message))
  }

  /** A client's request to a store. */
  ask(store: string, message: Message): void {
    this.run(store as StoreId, (ctx) => this.host(store).replication.onMessage(ctx, CLIENT, message))
  }

  shutDown(store: string): void {
    this.run(store as StoreId, (ctx) => this.host(store).replication.shutDown(ctx))
  }

  /** Codes of the answers to a request, in order. */
  codes(request: number): number[] {
    return this.answers.flatMap((answer) =>
      answer.type === 'answer' && answer.request === request ? [answer.code] : [],
    )
  }
  readBack(request: number): Uint8Array | undefined {
    const done = this.answers.find((answer) => answer.type === 'read-done' && answer.request === request)
    return done?.type === 'read-done' ? done.parts[0]?.bytes : undefined
  }

  /** Versions and bytes of all replicas are the same. */
  identical(): boolean {
    const [first, ...others] = [...this.hosts.values()].map(({ disk }) => disk)
    for (const other of others)
      for (let block = 0; block < BLOCKS; block++) {
        const a = first?.load(block)
        const b = other.load(block)
        if (a?.version.seq !== b.version.seq || a?.version.epoch !== b.version.epoch) return false
        if (a?.bytes !== undefined && (b.bytes === undefined || Buffer.compare(a.bytes, b.bytes) !== 0)) return false
      }
    return true
  }

  versionAt(store: string, block: number): BlockVersion {
    return this.host(store).disk.table.get(block) ?? ABSENT_VERSION
  }
}
