import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import {
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_TRIM,
  type BLOCK_ZERO,
  type BlockVersion,
  type Epoch,
  type ExtentId,
  extentId,
  MIB,
  type Seq,
  type SessionId,
  type VolumeId,
} from '@ashlar/proto'
import { VersionTable } from '../../src/core/blocks/index.ts'
import type { BlockChange, LoadedBlock, ReplicaChange } from '../../src/core/machine.ts'
import type { BatchOperation, StorageDriver } from '../../src/storage/driver.ts'
import {
  type Complete,
  MemoryDisk,
  MemoryDriver,
  type OpenOnDriverOptions,
  openStoreOnDriver,
  type ReplicaStore,
  type StoreEffect,
} from '../../src/storage/index.ts'

export type Completion = Parameters<Complete>[0]
type WithToken = Exclude<StoreEffect, { type: 'create-replica' | 'drop-replica' }>
export type Unnumbered = WithToken extends infer E ? (E extends WithToken ? Omit<E, 'token'> : never) : never

export const D = 4096
export const EXTENT: ExtentId = extentId(7 as VolumeId, 3)
export const EXTENT_BYTES = 16 * MIB
export const BLOCKS = EXTENT_BYTES / D

/** Runs effects and hands each completion to the test that waits for its token. */
export class StoreRunner {
  readonly completions: Completion[] = []
  readonly #waiting = new Map<number, (completion: Completion) => void>()
  readonly #failures: ((reason: string) => void)[] = []
  #store: ReplicaStore | undefined
  #token = 0

  readonly complete: Complete = (completion) => {
    this.completions.push(completion)
    if (completion.type === 'store-failed') for (const onFailure of this.#failures) onFailure(completion.reason)
    if ('token' in completion) {
      this.#waiting.get(completion.token)?.(completion)
      this.#waiting.delete(completion.token)
    }
  }

  /** Resolves with the reason once the store failed. */
  failed(): Promise<string> {
    return new Promise((resolve) => this.#failures.push(resolve))
  }

  get store(): ReplicaStore {
    assert.ok(this.#store !== undefined, 'no store is open')
    return this.#store
  }

  use(store: ReplicaStore): void {
    this.#store = store
  }

  async open(driver: StorageDriver, options: OpenOnDriverOptions = {}): Promise<void> {
    this.#store = await openStoreOnDriver(driver, options, this.complete)
  }

  create(extent = EXTENT, lengthBytes = EXTENT_BYTES, blockSizeBytes = D): void {
    this.store.execute({ type: 'create-replica', extent, blockSizeBytes, lengthBytes, volumeName: 'demo' })
  }

  run(effect: Unnumbered): Promise<Completion> {
    const token = ++this.#token
    return new Promise((resolve) => {
      this.#waiting.set(token, resolve)
      this.store.execute({ ...effect, token } as StoreEffect)
    })
  }

  commit(change: Partial<ReplicaChange>): Promise<Completion> {
    return this.run({ type: 'commit', change: { extent: EXTENT, blocks: [], head: {}, ...change } })
  }

  /** One write in seq order: blocks with this seq, and the head that goes with it. */
  write(seq: number, blocks: readonly BlockChange[], more: Partial<ReplicaChange> = {}): Promise<Completion> {
    return this.commit({ blocks, head: { lastEpoch: 1 as Epoch, lastSeq: seq as Seq }, ...more })
  }

  async load(blocks: readonly number[], extent = EXTENT): Promise<readonly LoadedBlock[]> {
    const completion = await this.run({ type: 'load', extent, blocks })
    assert.ok(completion.type === 'loaded')
    return completion.blocks
  }

  async digests(extent = EXTENT): Promise<{ root: string; leaves: string }> {
    const completion = await this.run({ type: 'digests', extent })
    assert.ok(completion.type === 'digests')
    return { root: hex(completion.root), leaves: hex(completion.leaves) }
  }

  async versions(leaves: readonly number[], extent = EXTENT) {
    const completion = await this.run({ type: 'versions', extent, leaves })
    assert.ok(completion.type === 'versions')
    return completion.leaves
  }

  async allocation(firstBlock: number, blocks: number, extent = EXTENT) {
    const completion = await this.run({ type: 'allocation', extent, firstBlock, blocks })
    assert.ok(completion.type === 'allocation')
    return completion.runs
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Content that names its block and seq, so that a wrong one is seen. */
export function content(block: number, seq: number, size = D): Uint8Array {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < size; at += 8) {
    view.setUint32(at, block)
    view.setUint32(at + 4, seq)
  }
  return bytes
}

export function data(block: number, seq: number, epoch = 1): BlockChange {
  const bytes = content(block, seq)
  const version = { epoch: epoch as Epoch, seq: seq as Seq, kind: BLOCK_DATA, checksum: crc32(bytes) } as const
  return { block, version, bytes }
}

/** The blocks that a writing process gives its write `seq`: four, spread over the first 1,500 blocks. */
export function blocksOfWrite(seq: number): BlockChange[] {
  const blocks: BlockChange[] = []
  for (let i = 0; i < 4; i++) {
    const block = (seq * 37 + i * 401) % 1500
    blocks.push((seq + i) % 7 === 0 ? bare(block, seq, BLOCK_TRIM) : data(block, seq))
  }
  return blocks
}

export function bare(block: number, seq: number, kind: typeof BLOCK_ZERO | typeof BLOCK_TRIM): BlockChange {
  return { block, version: { epoch: 1 as Epoch, seq: seq as Seq, kind, checksum: 0 } }
}

export function absent(block: number): BlockChange {
  return { block, version: { epoch: 0 as Epoch, seq: 0 as Seq, kind: BLOCK_ABSENT, checksum: 0 } }
}

export function operation(session: number, op: number, seq: number, lowMark = 0, generation = 1, cancel = false) {
  return { session: session as SessionId, op, lowMark, generation, seq: seq as Seq, cancel, first: 0, count: 0 }
}

/** What a replica should hold, kept the simplest way. */
export class Model {
  readonly versions = new VersionTable(BLOCKS)

  apply(blocks: readonly BlockChange[]): void {
    for (const { block, version } of blocks) this.versions.set(block, version)
  }

  get digests(): { root: string; leaves: string } {
    return { root: hex(this.versions.digests.rootBytes()), leaves: hex(this.versions.digests.leafBytes()) }
  }

  assertLoaded(loaded: readonly LoadedBlock[], note: string): void {
    for (const { block, version, bytes, damaged } of loaded) {
      const expected: BlockVersion = this.versions.get(block)
      assert.deepEqual(version, expected, `${note}: version of block ${block}`)
      assert.equal(damaged, false, `${note}: block ${block} is damaged`)
      if (expected.kind !== BLOCK_DATA) assert.equal(bytes, undefined, `${note}: bytes of block ${block}`)
      else assert.equal(Buffer.compare(bytes as Uint8Array, content(block, expected.seq)), 0, `${note}: block ${block}`)
    }
  }
}

/**
 * Checks a store that `blocksOfWrite` filled: it holds exactly the writes up to some seq that is not below `acked`, in
 * versions, bytes and digests. Returns that seq.
 */
export async function assertWritten(runner: StoreRunner, acked: number, note: string): Promise<number> {
  const { identity, replicas, metrics } = runner.store
  assert.equal(identity.trust, 'trusted', note)
  const [replica] = replicas
  const lastSeq = replica?.head.lastSeq ?? 0
  assert.ok(lastSeq >= acked, `${note}: write ${acked} was acknowledged, the head says ${lastSeq}`)
  if (replica === undefined) return 0
  const model = new Model()
  for (let seq = 1; seq <= lastSeq; seq++) model.apply(blocksOfWrite(seq))
  assert.deepEqual(await runner.digests(), model.digests, `${note}: digests`)
  for (const { leaf, versions } of await runner.versions([0, 1, 2, 3, 4, 5])) {
    assert.deepEqual(versions, model.versions.versionsOf(leaf), `${note}: versions of leaf ${leaf}`)
  }
  model.assertLoaded(await runner.load(Array.from({ length: 1500 }, (_, i) => i)), note)
  const applied = replica.windows.flatMap((window) => window.applied.map(([op]) => op))
  const expected = Array.from({ length: Math.min(9, lastSeq) }, (_, i) => Math.max(1, lastSeq - 8) + i)
  if (lastSeq > 0) assert.deepEqual(applied, expected, `${note}: operations that are remembered`)
  assert.equal(metrics.leafMismatches, 0, note)
  return lastSeq
}

/** A driver whose writes wait until they are let through, and can be made to fail; it counts what it is asked. */
export class GatedDriver implements StorageDriver {
  readonly capabilities: StorageDriver['capabilities']
  readonly applied: (readonly BatchOperation[])[] = []
  /** Writes that wait to be let through. */
  readonly held: (() => void)[] = []
  holding = false
  failWith: Error | undefined
  scans = 0
  readonly #below: StorageDriver
  #waiters: (() => void)[] = []

  constructor(below: StorageDriver) {
    this.#below = below
    this.capabilities = below.capabilities
  }

  get(key: Uint8Array) {
    return this.#below.get(key)
  }
  getMany(keys: readonly Uint8Array[]) {
    if (this.failReadsWith !== undefined) return Promise.reject(this.failReadsWith)
    return this.#below.getMany(keys)
  }
  failReadsWith: Error | undefined
  /** The process above is gone: nothing that it still does reaches the disk. */
  kill(): void {
    this.#killed = true
  }
  #killed = false
  async apply(batch: readonly BatchOperation[], durability: 'synced' | 'buffered') {
    if (this.#killed) return new Promise<void>(() => {})
    if (this.holding) {
      const passed = new Promise<void>((resolve) => this.held.push(resolve))
      for (const waiter of this.#waiters.splice(0)) waiter()
      await passed
    }
    if (this.failWith !== undefined) throw this.failWith
    this.applied.push(batch)
    await this.#below.apply(batch, durability)
  }
  /** Resolves once a write waits to be let through. */
  untilHeld(): Promise<void> {
    return this.held.length > 0 ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve))
  }
  letThrough(): void {
    this.held.shift()?.()
  }
  scan(...args: Parameters<StorageDriver['scan']>) {
    this.scans++
    return this.#below.scan(...args)
  }
  space() {
    return this.#below.space()
  }
  compact(...args: Parameters<StorageDriver['compact']>) {
    return this.#below.compact(...args)
  }
  statistics() {
    return this.#below.statistics()
  }
  close() {
    return this.#below.close()
  }
}

/** A disk and a store over it. A store that is not closed before the next one opens is to be killed. */
export async function memoryStore(disk = new MemoryDisk(), options: OpenOnDriverOptions = {}) {
  const runner = new StoreRunner()
  const driver = new GatedDriver(new MemoryDriver(disk))
  await runner.open(driver, options)
  return { runner, driver, disk }
}
