import {
  type AdminCommand,
  type AdminDone,
  type ClusterId,
  type Epoch,
  ERRORS,
  type ErrorCode,
  type ExtentId,
  type ExtentRecord,
  extentCount,
  extentId,
  holderText,
  type MapDelta,
  type NewVolume,
  type NodeName,
  type NodeRecord,
  type NodeState,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
  volumeOf,
} from '@ashlar/proto'

type Attach = Extract<AdminCommand, { do: 'attach' }>

/** What a command came to; the rest of an `admin-done`. */
export type CommandOutcome = Pick<AdminDone, 'code' | 'message' | 'hint' | 'revision' | 'volume'>

/** The map, and what control does to it: the rules are those of a real cluster, each applied at once. */
export class MemoryMap {
  readonly cluster: ClusterId
  readonly #nodes: Map<StoreId, NodeRecord> = new Map()
  readonly #volumes: Map<VolumeId, VolumeRecord> = new Map()
  readonly #extents: Map<ExtentId, ExtentRecord> = new Map()
  readonly #removed: VolumeId[] = []
  readonly #onChanged: () => void
  readonly #onForgotten: (extent: ExtentId) => void
  #revision = 1
  #nextVolume = 1

  /** `onChanged` is called after each change, `onForgotten` for every extent of a volume that is removed. */
  constructor(cluster: ClusterId, onChanged: () => void, onForgotten: (extent: ExtentId) => void) {
    this.cluster = cluster
    this.#onChanged = onChanged
    this.#onForgotten = onForgotten
  }

  get revision(): number {
    return this.#revision
  }

  delta(): MapDelta {
    return {
      ...{ cluster: this.cluster, clusterGeneration: 0, from: 0, to: this.#revision, voters: [] },
      nodes: [...this.#nodes.values()],
      volumes: [...this.#volumes.values()],
      extents: [...this.#extents.values()],
      removedVolumes: this.#removed,
    }
  }

  extent(id: ExtentId): ExtentRecord | undefined {
    return this.#extents.get(id)
  }

  volumeOf(id: ExtentId): VolumeRecord | undefined {
    return this.#volumes.get(volumeOf(id))
  }

  volumeNamed(name: string): VolumeRecord | undefined {
    for (const volume of this.#volumes.values()) if (volume.name === name) return volume
    return undefined
  }

  addNode(store: StoreId, name: NodeName, address: string): void {
    this.#revision++
    const incarnation = { bootId: 'memory', counter: 1 }
    const record = { store, name, address, api: '', incarnation, trust: 'trusted', state: 'up' } as const
    this.#nodes.set(store, { ...record, changedAt: this.#revision })
  }

  /**
   * A node that is down leaves every in-sync set that has another member up; one that comes back has missed nothing.
   */
  setNodeState(store: StoreId, state: NodeState): void {
    const node = this.#nodes.get(store)
    if (node === undefined || node.state === state) return
    this.#revision++
    this.#nodes.set(store, { ...node, state, changedAt: this.#revision })
    for (const record of this.#extents.values()) if (record.assigned.includes(store)) this.#settle(record)
    this.#onChanged()
  }

  command(command: AdminCommand): CommandOutcome {
    switch (command.do) {
      case 'create-volume':
        return this.create(command)
      case 'remove-volume':
        return this.#remove(command.name)
      case 'attach':
        return this.#attach(command)
      case 'detach': {
        const volume = this.#volumes.get(command.volume)
        if (volume === undefined) return this.#refused('NOT_FOUND', `there is no volume with number ${command.volume}`)
        return this.#done(this.#hold(volume, volume.generation, without(volume, command.session)))
      }
      default:
        return this.#refused('USAGE', `a cluster in memory does not know the command ${command.do}`)
    }
  }

  create(volume: NewVolume): CommandOutcome {
    const { name, replicas } = volume
    if (this.volumeNamed(name) !== undefined) return this.#refused('EXISTS', `there is a volume ${name} already`)
    const up = [...this.#nodes.values()].filter(({ state }) => state === 'up').map(({ store }) => store)
    if (up.length < replicas)
      return this.#refused('TOO_FEW_NODES', `${replicas} replicas need as many nodes, and ${up.length} are up`)
    this.#revision++
    const { sizeBytes, blockSizeBytes, extentSizeBytes, minInSync } = volume
    const geometry = { sizeBytes, blockSizeBytes, extentSizeBytes }
    const id = this.#nextVolume++ as VolumeId
    const changedAt = this.#revision
    const record = { id, name, ...geometry, replicas, minInSync, generation: 0, holders: [], changedAt }
    this.#volumes.set(id, record)
    for (let index = 0; index < extentCount(geometry); index++) this.#place(extentId(id, index), index, up, replicas)
    this.#onChanged()
    return this.#done(record)
  }

  #place(id: ExtentId, index: number, up: readonly StoreId[], replicas: number): void {
    const assigned = Array.from({ length: replicas }, (_, i) => up[(index + i) % up.length] as StoreId)
    const [first] = assigned as [StoreId]
    const primary = { store: first, counter: 1 }
    const sets = { inSync: assigned, eligible: [], assigned }
    this.#extents.set(id, { id, revision: 1, epoch: 1 as Epoch, primary, ...sets, changedAt: this.#revision })
  }

  #remove(name: string): CommandOutcome {
    const volume = this.volumeNamed(name)
    if (volume === undefined) return this.#refused('NOT_FOUND', `there is no volume ${name}`)
    const [holder] = volume.holders
    if (holder !== undefined) return this.#refused('CONFLICT', `volume ${name} is attached by ${holder.client}`)
    this.#revision++
    this.#volumes.delete(volume.id)
    this.#removed.push(volume.id)
    for (let index = 0; index < extentCount(volume); index++) {
      const id = extentId(volume.id, index)
      this.#extents.delete(id)
      this.#onForgotten(id)
    }
    this.#onChanged()
    return this.#done(undefined)
  }

  /** Exclusive fences all holders of the volume; shared fences an exclusive one and joins sharers. */
  #attach({ name, session, mode, client, owner, since, ...asked }: Attach): CommandOutcome {
    const volume = this.volumeNamed(name)
    if (volume === undefined) return this.#refused('NOT_FOUND', `there is no volume ${name}`)
    const { holders, generation } = volume
    if (mode === 'read-only' || holders.some((held) => held.session === session)) return this.#done(volume)
    const times = since === undefined ? {} : { since }
    const holder = { session, mode, client, ...times, ...(owner === undefined ? {} : { owner }) }
    if (mode === 'shared' && holders.length > 0 && holders.every((held) => held.mode === 'shared'))
      return this.#done(this.#hold(volume, generation, [...holders, holder]))
    const { policy = asked.ifFree ? 'free' : 'take' } = asked
    // Holders of this cluster are always heard of.
    const kept = holders.find((held) => policy === 'free' || owner === undefined || held.owner !== owner)
    if (policy === 'resume' && (kept !== undefined || holders.length === 0))
      return this.#refused('FENCED', `volume ${name} is no longer attached by this owner`)
    if (policy !== 'take' && kept !== undefined)
      return this.#refused('ATTACHED', `volume ${name} is attached by ${holderText(kept)}`, 'take it over')
    return this.#done(this.#hold(volume, generation + 1, [holder]))
  }

  #hold(volume: VolumeRecord, generation: number, holders: VolumeRecord['holders']): VolumeRecord {
    this.#revision++
    const changed = { ...volume, generation, holders, changedAt: this.#revision }
    this.#volumes.set(volume.id, changed)
    this.#onChanged()
    return changed
  }

  /**
   * Sets the in-sync set, and another primary when the last one is down. With no replica up the record stays as it is.
   */
  #settle(record: ExtentRecord): void {
    const up = record.assigned.filter((store) => this.#nodes.get(store)?.state === 'up')
    const [first] = up
    if (first === undefined) return
    const keeps = up.includes(record.primary.store)
    this.#extents.set(record.id, {
      ...record,
      revision: record.revision + 1,
      epoch: (keeps ? record.epoch : record.epoch + 1) as Epoch,
      primary: keeps ? record.primary : { store: first, counter: 1 },
      inSync: up,
      changedAt: this.#revision,
    })
  }

  #done(volume: VolumeRecord | undefined): CommandOutcome {
    return { code: ERRORS.OK.number, message: '', hint: '', revision: this.#revision, ...(volume && { volume }) }
  }

  #refused(code: ErrorCode, message: string, hint = ''): CommandOutcome {
    return { code: ERRORS[code].number, message, hint, revision: this.#revision }
  }
}

function without(volume: VolumeRecord, session: number): VolumeRecord['holders'] {
  return volume.holders.filter((holder) => holder.session !== session)
}
