import {
  type AdminCommand,
  AshlarError,
  BLOCK_ABSENT,
  type BlockIndex,
  counted,
  type ExtentId,
  errorCodeOf,
  MapCopy,
  type Millis,
  type NodeName,
  type StoreId,
  type VolumeRecord,
  type Voter,
} from '@ashlar/proto'
import type { NodeView, PeerStatus, Readiness, VerifiedBlock } from '../admin/index.ts'
import type { InsecureListener } from '../config/index.ts'
import type { HeldSession } from '../core/control/index.ts'
import type { Input } from '../core/machine.ts'
import type { NodeMachine } from '../core/node-machine.ts'
import type { RaftView } from '../core/raft/index.ts'
import type { ExtentStatus } from '../core/replication/index.ts'
import type { ReplicaStore, SpaceView } from '../storage/index.ts'
import type { LinkStatus } from '../transport/index.ts'
import type { ApiCalls } from './api-calls.ts'
import { devDirectoryOf, devNameAt } from './dev-cluster.ts'

/** What a node is called and where it is, as its operator configured it. */
export interface NodeDescription {
  readonly dataDir: string
  readonly name: NodeName
  readonly version: string
  /** Labels of the node, such as its zone: shown to people. */
  readonly labels: Readonly<Record<string, string>>
  readonly insecure: readonly InsecureListener[]
}

/** What the read model needs of the runtime. */
export interface RuntimeState {
  /** Undefined until the node has begun. */
  readonly machine: NodeMachine | undefined
  readonly isStopping: boolean
  readonly hasFailed: boolean
  now(): Millis
  feed(input: Input): void
  /** What the transport last saw of each peer. */
  linkStatuses(): readonly LinkStatus[]
}

/** What the HTTP API reads of a node, over its machines and its store; built before the machines are. */
export class NodeReadModel implements NodeView {
  readonly insecure: readonly InsecureListener[]
  readonly version: string
  readonly name: NodeName
  readonly labels: Readonly<Record<string, string>>
  readonly dataDir: string
  private readonly runtime: RuntimeState
  private readonly replicaStore: ReplicaStore
  private readonly calls: ApiCalls

  constructor(description: NodeDescription, runtime: RuntimeState, store: ReplicaStore, calls: ApiCalls) {
    this.insecure = description.insecure
    this.version = description.version
    this.name = description.name
    this.labels = description.labels
    this.dataDir = description.dataDir
    this.runtime = runtime
    this.replicaStore = store
    this.calls = calls
  }

  get devDirectory(): string | undefined {
    return devDirectoryOf(this.dataDir, this.name)
  }

  devNameOf(address: string): string | undefined {
    const directory = this.devDirectory
    return directory === undefined ? undefined : devNameAt(directory, address)
  }

  get store(): StoreId {
    return this.replicaStore.identity.store
  }

  get suspicion(): string | undefined {
    return this.replicaStore.identity.suspicion
  }

  get space(): SpaceView {
    return this.replicaStore.space()
  }

  get map(): MapCopy {
    return this.runtime.machine?.map ?? EMPTY_MAP
  }

  /** Feature level of the cluster as this node has learned it. */
  get featureLevel(): number {
    return this.runtime.machine?.featureLevel ?? this.replicaStore.identity.featureLevel
  }

  get mapAgeMs(): number | undefined {
    const asOf = this.runtime.machine?.agent.mapAsOf() ?? Number.NEGATIVE_INFINITY
    return Number.isFinite(asOf) ? this.runtime.now() - asOf : undefined
  }

  get voters(): readonly Voter[] {
    const members = this.controlLog?.members.voters ?? []
    if (members.length > 0) return members
    return this.map.voters.length > 0 ? this.map.voters : (this.runtime.machine?.agent.voters ?? [])
  }

  get leader(): StoreId | undefined {
    return this.runtime.machine?.agent.leader
  }

  get controlLog(): RaftView | undefined {
    return this.runtime.machine?.raftView(this.runtime.now())
  }

  get leaseHeld(): boolean {
    return (this.runtime.machine?.agent.view(this.runtime.now()).leaseRemainingMs ?? 0) > 0
  }

  /** Why this store is to leave the in-sync sets as soon as no extent depends on it; undefined for a sound store. */
  get reasonToLeave(): string | undefined {
    return this.runtime.machine?.reasonToLeave
  }

  get readiness(): Readiness {
    const { machine, isStopping } = this.runtime
    if (machine === undefined) return { ready: false, reason: 'this node is starting' }
    if (isStopping) return { ready: false, reason: 'this node is stopping' }
    const reason = machine.bootstrap.waitsFor || machine.agent.view(this.runtime.now()).waitsFor
    if (reason !== '') return { ready: false, reason }
    if (!this.leaseHeld) return { ready: false, reason: 'waits for control to renew the lease of this node' }
    const recovering = this.localExtents().filter(({ role, phase }) => role === 'primary' && phase !== 'active').length
    if (recovering > 0)
      return {
        ready: false,
        reason: `${counted(recovering, 'extent that this node leads is', 'extents that this node leads are')} not active yet`,
      }
    return { ready: true }
  }

  hears(store: StoreId): boolean {
    return this.runtime.machine?.links.hears(store, this.runtime.now()) === true
  }

  peers(): readonly PeerStatus[] {
    return this.runtime.linkStatuses().map((status) => {
      const seen = this.withSilence(status)
      const store = status.peer?.store
      const reported = store === undefined ? undefined : this.runtime.machine?.links.ends.of(store)
      return reported === undefined || seen.state === 'connected' ? seen : { ...seen, reported }
    })
  }

  /** A link is up until its connection ends, and a process that is stopped ends none. */
  private withSilence(status: LinkStatus): LinkStatus {
    const { machine } = this.runtime
    const store = status.peer?.store
    if (status.state !== 'connected' || machine === undefined || store === undefined || this.hears(store)) return status
    const now = Date.now()
    const since = now - (this.runtime.now() - machine.links.lastFrame(store))
    return { ...status, state: 'silent', since, checkedAt: now, detail: 'nothing was received over a link that is up' }
  }

  holders(): readonly HeldSession[] {
    return this.runtime.machine?.holders(this.runtime.now()) ?? []
  }

  localExtents(): readonly ExtentStatus[] {
    return this.runtime.machine?.describeExtents() ?? []
  }

  async admin(command: AdminCommand): Promise<VolumeRecord | undefined> {
    if (this.runtime.isStopping || this.runtime.machine === undefined) {
      throw new AshlarError('CLOSED', 'this node is starting or stopping', { hint: 'send the request to another node' })
    }
    const done = await this.calls.admin(command)
    const code = errorCodeOf(done.code) ?? 'INTERNAL'
    if (code !== 'OK') throw new AshlarError(code, done.message, done.hint === '' ? {} : { hint: done.hint })
    if (this.map.revision < done.revision) await this.calls.mapAt(done.revision)
    return done.volume
  }

  async versions(
    extent: ExtentId,
    firstBlock: BlockIndex,
    blocks: number,
  ): Promise<readonly VerifiedBlock[] | undefined> {
    const replica = this.localExtents().find((status) => status.extent === extent)
    if (replica === undefined) return undefined
    const end = Math.min(firstBlock + blocks, replica.blockCount)
    if (firstBlock >= end) return []
    if (this.runtime.isStopping || this.runtime.hasFailed) throw new AshlarError('CLOSED', 'this node is stopping')
    const loaded = await this.calls.load(
      extent,
      Array.from({ length: end - firstBlock }, (_, at) => firstBlock + at),
    )
    const damaged = loaded.filter((block) => block.damaged && block.version.kind !== BLOCK_ABSENT)
    if (damaged.length > 0) this.runtime.feed({ type: 'damage-found', extent, blocks: damaged })
    return loaded
      .filter(({ version, damaged }) => damaged || version.kind !== BLOCK_ABSENT)
      .map(({ block, version, damaged }) => ({ ...version, block, intact: !damaged }))
  }
}

const EMPTY_MAP = new MapCopy()
