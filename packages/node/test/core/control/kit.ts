import assert from 'node:assert/strict'
import {
  type ClusterId,
  type ExtentId,
  type ExtentRecord,
  extentId,
  type Incarnation,
  LIMITS,
  type MapCopy,
  type Message,
  MIB,
  NO_INCARNATION,
  type NodeName,
  type SessionId,
  type StoreId,
  type Trust,
  type VolumeId,
  volumeOf,
} from '@ashlar/proto'
import { applyCommand, type CommandResult, MapState } from '../../../src/core/control/index.ts'
import type { Command } from '../../../src/core/control/log/log-entry.ts'
import type { Context, Effect, Link } from '../../../src/core/machine.ts'

export const CLUSTER = '00000000-0000-4000-8000-00000000c1a5' as ClusterId

/** Store number n, named so that a person sees which one a failed assertion speaks of. */
export function store(n: number): StoreId {
  return `00000000-0000-7000-8000-${String(n).padStart(12, '0')}` as StoreId
}

export function address(n: number): string {
  return `n${n}:7580`
}

export function incarnation(counter: number, bootId = 'boot'): Incarnation {
  return { bootId, counter }
}

/** A step's context that keeps what was emitted. Time moves only when the test says so. */
export class Script implements Context {
  now = 1000
  effects: Effect[] = []
  #token = 0

  emit(effect: Effect): void {
    this.effects.push(effect)
  }
  token(): number {
    return ++this.#token
  }
  random(): number {
    return 0.5
  }
  event(
    level: 'debug' | 'info' | 'warn' | 'error',
    what: string,
    details: Readonly<Record<string, unknown>> = {},
  ): void {
    this.effects.push({ type: 'event', event: { level, what, ...details } })
  }

  /** Takes everything emitted since the last call. */
  take(): Effect[] {
    const taken = this.effects
    this.effects = []
    return taken
  }

  /** Takes what was emitted and gives the messages sent to one link. */
  sent(link?: Link): Message[] {
    return messagesOf(this.take(), link)
  }
}

export function messagesOf(effects: readonly Effect[], link?: Link): Message[] {
  return effects.flatMap((effect) =>
    effect.type === 'send' && (link === undefined || effect.link === link) ? [effect.message] : [],
  )
}

/** The first message of a type; fails when there is none. */
export function only<T extends Message['type']>(messages: readonly Message[], type: T): Extract<Message, { type: T }> {
  const found = messages.filter((message): message is Extract<Message, { type: T }> => message.type === type)
  assert.equal(found.length, 1, `expected one ${type} among ${messages.map((message) => message.type).join(', ')}`)
  return found[0] as Extract<Message, { type: T }>
}

/** A map under test: applies commands and can be asked about extents in few words. */
export class Reducer {
  readonly state: MapState = new MapState()
  readonly log: Command[] = []

  apply(command: Command): CommandResult {
    this.log.push(command)
    return applyCommand(this.state, command)
  }

  /** Bootstraps the cluster and registers stores 1 to n, all live. */
  bootstrapped(stores: number): this {
    assert.equal(this.apply(found()).code, 'OK')
    for (let n = 1; n <= stores; n++) assert.equal(this.register(n).code, 'OK')
    return this
  }

  register(
    n: number,
    options: {
      counter?: number
      live?: number[]
      trust?: Trust
      name?: string
      address?: string
      boot?: string
      level?: number
    } = {},
  ): CommandResult {
    return this.apply({
      do: 'register',
      store: store(n),
      name: (options.name ?? `n${n}`) as NodeName,
      address: options.address ?? address(n),
      api: `n${n}:7480`,
      incarnation: incarnation(options.counter ?? 1, options.boot),
      trust: options.trust ?? 'trusted',
      live: (options.live ?? []).map(store),
      ...(options.level === undefined ? {} : { level: options.level }),
    })
  }

  expire(stores: number[], live: number[], counter = 1): CommandResult {
    return this.apply({
      do: 'expire',
      stores: stores.map((n) => ({ store: store(n), counter })),
      live: live.map(store),
    })
  }

  create(options: { name?: string; replicas?: number; minInSync?: number; live?: number[]; extents?: number } = {}) {
    const live = options.live ?? [...this.state.nodes.keys()].map(numberOf)
    const replicas = options.replicas ?? 3
    return this.apply({
      do: 'create-volume',
      name: options.name ?? 'v1',
      sizeBytes: (options.extents ?? 1) * LIMITS.minExtentBytes,
      blockSizeBytes: 4096,
      extentSizeBytes: 16 * MIB,
      replicas,
      minInSync: options.minInSync ?? Math.ceil(replicas / 2),
      live: live.map(store),
    })
  }

  /** Sets of one extent as it is: the sender is its primary. */
  change(
    inSync: number[],
    extent: ExtentId = EXTENT,
    over: Partial<{ sender: number; counter: number; revision: number; epoch: number; complete: number[] }> = {},
  ) {
    const record = this.record(extent)
    const sender = over.sender ?? numberOf(record.primary.store)
    const result = this.apply({
      do: 'change-sets',
      store: store(sender),
      counter: over.counter ?? record.primary.counter,
      changes: [
        {
          extent,
          revision: over.revision ?? record.revision,
          epoch: (over.epoch ?? record.epoch) as ExtentRecord['epoch'],
          inSync: inSync.map(store),
          ...(over.complete === undefined ? {} : { complete: over.complete.map(store) }),
        },
      ],
    })
    return result.sets?.[0]?.code
  }

  attach(
    session: number,
    options: { mode?: 'exclusive' | 'shared' | 'read-only'; ifFree?: boolean; name?: string } = {},
  ) {
    return this.apply({
      do: 'attach',
      name: options.name ?? 'v1',
      holder: { session: session as SessionId, mode: options.mode ?? 'exclusive', client: `client-${session}` },
      ifFree: options.ifFree ?? false,
    })
  }

  record(extent: ExtentId = EXTENT): ExtentRecord {
    const record = this.state.extents.get(extent)
    assert.ok(record !== undefined, `extent ${extent} exists`)
    return record
  }

  /** An extent in few words: epoch, primary and sets as store numbers, in ascending order. */
  brief(extent: ExtentId = EXTENT): { epoch: number; primary: number; inSync: number[]; eligible: number[] } {
    const { epoch, primary, inSync, eligible } = this.record(extent)
    return { epoch, primary: numberOf(primary.store), inSync: numbers(inSync), eligible: numbers(eligible) }
  }
}

export const VOLUME = 1 as VolumeId
export const EXTENT: ExtentId = extentId(VOLUME, 0)

export function found(): Command {
  return { do: 'found', cluster: CLUSTER, voters: [{ store: store(1), address: address(1) }] }
}

export function numberOf(id: StoreId): number {
  return Number(id.slice(-12))
}

export function numbers(ids: readonly StoreId[]): number[] {
  return ids.map(numberOf).sort((a, b) => a - b)
}

/** Everything in a map, in one order, for comparison. */
export function contents(
  map: Pick<
    MapState | MapCopy,
    'cluster' | 'clusterGeneration' | 'revision' | 'voters' | 'nodes' | 'volumes' | 'extents'
  > & { removedVolumes: { keys(): Iterable<VolumeId> } },
) {
  const sorted = <K extends string | number, V>(records: ReadonlyMap<K, V>) =>
    [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
  return {
    cluster: map.cluster,
    clusterGeneration: map.clusterGeneration,
    revision: map.revision,
    voters: map.voters,
    nodes: sorted(map.nodes),
    volumes: sorted(map.volumes),
    extents: sorted(map.extents),
    removed: [...map.removedVolumes.keys()].sort((a, b) => a - b),
  }
}

/** What must hold of every map at every moment (A3: 13, 14 and the shape of records). */
export function assertInvariants(state: MapState): void {
  for (const record of state.extents.values()) {
    const volume = state.volumes.get(volumeOf(record.id))
    assert.ok(volume !== undefined, `extent ${record.id} belongs to a volume`)
    const where = `extent ${record.id}: ${JSON.stringify(record)}`
    assert.equal(new Set(record.assigned).size, record.assigned.length, `assigned names no store twice: ${where}`)
    assert.equal(record.assigned.length, volume.replicas, `as many are assigned as the volume has replicas: ${where}`)
    assert.ok(record.inSync.length > 0, `inSync is never empty: ${where}`)
    assert.ok(record.inSync.includes(record.primary.store), `the primary is in sync: ${where}`)
    for (const member of [...record.inSync, ...record.eligible]) {
      assert.ok(record.assigned.includes(member), `members are assigned: ${where}`)
      assert.ok(state.nodes.has(member), `members are registered: ${where}`)
    }
    assert.ok(
      !record.eligible.some((member) => record.inSync.includes(member)),
      `eligible and inSync are apart: ${where}`,
    )
    if (record.inSync.length >= volume.minInSync)
      assert.deepEqual(record.eligible, [], `no store is eligible at minInSync and above: ${where}`)
    const leader = state.nodes.get(record.primary.store)
    if (leader?.state !== 'down' && leader?.trust === 'trusted' && record.primary.counter !== NO_INCARNATION)
      assert.equal(record.primary.counter, leader.incarnation.counter, `no epoch outlives its incarnation: ${where}`)
    assert.ok(record.changedAt <= state.revision, `no record is newer than the map: ${where}`)
  }
}
