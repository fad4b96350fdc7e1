import type { TlsOptions } from 'node:tls'
import {
  type Admin,
  type AdminCommand,
  type AdminDone,
  type BlockKind,
  type Cancel,
  type ClusterId,
  type Epoch,
  ERRORS,
  type ErrorCode,
  type ExtentId,
  type ExtentRecord,
  extentCount,
  extentId,
  type MapDelta,
  type NodeName,
  type NodeRecord,
  type ReadPart,
  type SessionId,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
  volumeOf,
  type Write,
  type Zero,
} from '@ashlar/proto'
import { MemoryBlocks } from '../../src/testing/memory-blocks.ts'
import { FakeNode } from './fake-node.ts'

/** A cluster of fake nodes with one map and one memory: every extent is on every node, the primary answers. */
export class FakeCluster implements AsyncDisposable {
  readonly id = '00000000-0000-4000-8000-00000000c1a5' as ClusterId
  readonly nodes: FakeNode[] = []
  featureLevel = 0
  /** Operations that were carried out, `session/op`, in order; each may be there once. */
  readonly applied: string[] = []
  readonly #known: Set<string> = new Set()
  readonly #volumes: Map<VolumeId, VolumeRecord> = new Map()
  readonly #extents: Map<ExtentId, ExtentRecord> = new Map()
  readonly #removed: VolumeId[] = []
  readonly #blocks = new MemoryBlocks()
  #revision = 1
  #nextVolume = 1

  static async start(nodes = 3, tls?: TlsOptions): Promise<FakeCluster> {
    const cluster = new FakeCluster()
    for (let index = 1; index <= nodes; index++) {
      const store = `00000000-0000-7000-8000-00000000000${index}` as StoreId
      cluster.nodes.push(await FakeNode.start(cluster, store, `n${index}` as NodeName, tls))
    }
    return cluster
  }

  get servers(): string[] {
    return this.nodes.map((node) => node.address)
  }

  node(index: number): FakeNode {
    const node = this.nodes[index]
    if (node === undefined) throw new Error(`there is no node ${index}`)
    return node
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.stop()
  }

  // ---- the map

  delta(from: number): MapDelta {
    return {
      cluster: this.id,
      clusterGeneration: 0,
      from: from < this.#revision ? 0 : from,
      to: this.#revision,
      voters: [],
      nodes: this.nodes.map((node) => this.#nodeRecord(node)),
      volumes: [...this.#volumes.values()],
      extents: [...this.#extents.values()],
      removedVolumes: this.#removed,
      ...(this.featureLevel === 0 ? {} : { featureLevel: this.featureLevel }),
    }
  }

  extent(id: ExtentId): ExtentRecord | undefined {
    return this.#extents.get(id)
  }

  epochOf(id: ExtentId): Epoch {
    return this.#extents.get(id)?.epoch ?? (0 as Epoch)
  }

  volumeOf(id: ExtentId): VolumeRecord {
    const volume = this.#volumes.get(volumeOf(id))
    if (volume === undefined) throw new Error(`no volume has extent ${id}`)
    return volume
  }

  volume(name: string): VolumeRecord | undefined {
    return [...this.#volumes.values()].find((volume) => volume.name === name)
  }

  primaryOf(name: string, index = 0): FakeNode {
    const volume = this.volume(name)
    const record = volume === undefined ? undefined : this.#extents.get(extentId(volume.id, index))
    const node = this.nodes.find(({ store }) => store === record?.primary.store)
    if (node === undefined) throw new Error(`extent ${index} of ${name} has no primary`)
    return node
  }

  /** Creates a volume of small extents, spread over the nodes. */
  create(name: string, sizeBytes: number, blockSizeBytes = 4096, extentSizeBytes = 16 * 1024 * 1024): VolumeRecord {
    const stores = this.nodes.map((node) => node.store)
    this.#revision++
    const volume: VolumeRecord = {
      id: this.#nextVolume++ as VolumeId,
      ...{ name, sizeBytes, blockSizeBytes, extentSizeBytes },
      replicas: stores.length,
      minInSync: Math.ceil(stores.length / 2),
      generation: 0,
      holders: [],
      changedAt: this.#revision,
    }
    this.#volumes.set(volume.id, volume)
    for (let index = 0; index < extentCount(volume); index++) {
      const primary = stores[index % stores.length]
      if (primary === undefined) throw new Error('a cluster without nodes')
      const id = extentId(volume.id, index)
      this.#extents.set(id, {
        id,
        revision: 1,
        epoch: 1 as Epoch,
        primary: { store: primary, counter: 1 },
        inSync: stores,
        eligible: [],
        assigned: stores,
        changedAt: this.#revision,
      })
    }
    this.#pushMap()
    return volume
  }

  /** Names another primary, with a new epoch. Watchers learn it only if `push` says so. */
  move(name: string, index: number, to: FakeNode, push: boolean): void {
    const volume = this.volume(name)
    const record = volume === undefined ? undefined : this.#extents.get(extentId(volume.id, index))
    if (record === undefined) throw new Error(`there is no extent ${index} of ${name}`)
    this.#revision++
    this.#extents.set(record.id, {
      ...record,
      revision: record.revision + 1,
      epoch: (record.epoch + 1) as Epoch,
      primary: { store: to.store, counter: 1 },
      changedAt: this.#revision,
    })
    if (push) this.#pushMap()
  }

  remove(name: string): void {
    const volume = this.volume(name)
    if (volume === undefined) throw new Error(`there is no volume ${name}`)
    this.#revision++
    this.#volumes.delete(volume.id)
    this.#removed.push(volume.id)
    this.#pushMap()
  }

  /** Attaches for somebody else. */
  attach(name: string, push: boolean): void {
    this.#attach(name, 1 as SessionId, 'somebody else', push)
  }

  onAdmin(message: Admin): AdminDone {
    const { command, request } = message
    const done = (code: ErrorCode, volume?: VolumeRecord): AdminDone => ({
      type: 'admin-done',
      request,
      code: ERRORS[code].number,
      message: code === 'OK' ? '' : `refused: ${code}`,
      hint: '',
      revision: this.#revision,
      ...(volume === undefined ? {} : { volume }),
    })
    return this.#command(command, done)
  }

  #command(command: AdminCommand, done: (code: ErrorCode, volume?: VolumeRecord) => AdminDone): AdminDone {
    if (command.do === 'create-volume') {
      if (this.volume(command.name) !== undefined) return done('EXISTS')
      const { name, sizeBytes, blockSizeBytes, extentSizeBytes } = command
      return done('OK', this.create(name, sizeBytes, blockSizeBytes, extentSizeBytes))
    }
    if (command.do === 'detach') {
      const volume = this.#volumes.get(command.volume)
      if (volume === undefined) return done('NOT_FOUND')
      this.#replace({ ...volume, holders: volume.holders.filter(({ session }) => session !== command.session) })
      return done('OK')
    }
    if (command.do === 'renew-attachment') return done('OK')
    if (command.do !== 'attach' && command.do !== 'remove-volume') return done('USAGE')
    const volume = this.volume(command.name)
    if (volume === undefined) return done('NOT_FOUND')
    if (command.do === 'remove-volume') {
      this.remove(command.name)
      return done('OK')
    }
    if (command.ifFree && volume.holders.length > 0) return done('ATTACHED')
    return done('OK', this.#attach(command.name, command.session, command.client, true))
  }

  #attach(name: string, session: SessionId, client: string, push: boolean): VolumeRecord {
    const volume = this.volume(name)
    if (volume === undefined) throw new Error(`there is no volume ${name}`)
    const holders = [{ session, mode: 'exclusive' as const, client }]
    const attached = this.#replace({ ...volume, generation: volume.generation + 1, holders })
    if (push) this.#pushMap()
    return attached
  }

  #replace(volume: VolumeRecord): VolumeRecord {
    this.#revision++
    const changed = { ...volume, changedAt: this.#revision }
    this.#volumes.set(volume.id, changed)
    return changed
  }

  #nodeRecord(node: FakeNode): NodeRecord {
    return {
      store: node.store,
      name: node.name,
      address: node.address,
      api: '',
      incarnation: { bootId: 'boot', counter: 1 },
      trust: 'trusted',
      state: 'up',
      changedAt: 1,
    }
  }

  #pushMap(): void {
    for (const node of this.nodes) node.pushMap()
  }

  // ---- the blocks

  read(extent: ExtentId, offset: number, length: number): ReadPart[] {
    return this.#blocks.read(extent, this.volumeOf(extent).blockSizeBytes, offset, length)
  }

  kindOf(extent: ExtentId, block: number): BlockKind {
    return this.#blocks.kindOf(extent, block)
  }

  /** Carries out an operation once, whoever asks and however often. */
  change(message: Write | Zero | Cancel): ErrorCode {
    const code = this.#blocks.change(message, this.volumeOf(message.extent).blockSizeBytes)
    const id = `${message.operation.session}/${message.operation.op}`
    if (code === 'OK' && message.type !== 'cancel' && !this.#known.has(id)) {
      this.#known.add(id)
      this.applied.push(id)
    }
    return code
  }
}
