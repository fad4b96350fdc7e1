import assert from 'node:assert/strict'
import type {
  CallToken,
  ClientCall,
  ClientEffect,
  ClientEvent,
  ClientInput,
  ClientLink,
  ClientOptions,
  ClientOutcome,
  VolumeHandle,
} from '@ashlar/client/core'
import { ClientMachine } from '@ashlar/client/core'
import {
  type ClientRequest,
  type ClusterId,
  type Epoch,
  ERRORS,
  type ErrorCode,
  type ExtentRecord,
  extentCount,
  extentId,
  type Holder,
  type MapDelta,
  type Message,
  type NodeName,
  type NodeRecord,
  type SessionId,
  type StoreId,
  splitBlocks,
  type VolumeId,
  type VolumeRecord,
  WIRE_VERSION,
} from '@ashlar/proto'

export const STORE_A = '00000000-0000-7000-8000-00000000000a' as StoreId
export const STORE_B = '00000000-0000-7000-8000-00000000000b' as StoreId
const STORES = [STORE_A, STORE_B]
const EXTENT_BYTES = 16 * 1024 * 1024
const VOLUME = 1 as VolumeId

type Sent<Type extends Message['type']> = {
  readonly link: ClientLink
  readonly message: Extract<Message, { type: Type }>
}

/** A client machine, its clock, and all that it said; the test plays the cluster, one input at a time. */
export class MachineScript {
  now = 1000
  readonly machine: ClientMachine
  readonly sent: { readonly link: ClientLink; readonly message: Message }[] = []
  readonly closed: ClientLink[] = []
  /** Requests whose message need not be sent any more. */
  readonly withdrawn: number[] = []
  readonly events: ClientEvent[] = []
  readonly outcomes: Map<CallToken, ClientOutcome> = new Map()
  dialed: readonly string[] = []
  #revision = 1
  featureLevel = 0
  #nextToken = 1
  #nextLink = 1
  #volume: VolumeRecord
  #extents: ExtentRecord[]

  constructor(options: Partial<ClientOptions> = {}, shape: { sizeBytes?: number; extentSizeBytes?: number } = {}) {
    this.machine = new ClientMachine({ servers: ['a:1', 'b:1'], name: 'test', seed: 1, ...options })
    const { sizeBytes = 2 * EXTENT_BYTES, extentSizeBytes = EXTENT_BYTES } = shape
    this.#volume = {
      id: VOLUME,
      name: 'demo',
      ...{ sizeBytes, extentSizeBytes, blockSizeBytes: 4096 },
      ...{ replicas: 2, minInSync: 1, generation: 1, holders: [], changedAt: 1 },
    }
    this.#extents = Array.from({ length: extentCount(this.#volume) }, (_, index) => ({
      id: extentId(VOLUME, index),
      revision: 1,
      epoch: 1 as Epoch,
      primary: { store: STORE_A, counter: 1 },
      inSync: STORES,
      eligible: [],
      assigned: STORES,
      changedAt: 1,
    }))
    this.input({ type: 'tick' })
  }

  input(input: ClientInput): void {
    for (const effect of this.machine.step(this.now, input)) this.#note(effect)
  }

  /** Lets time pass, with a tick at its end. */
  pass(ms: number): void {
    this.now += ms
    this.input({ type: 'tick' })
  }

  linkUp(store: StoreId, address = store === STORE_A ? 'a:1' : 'b:1'): ClientLink {
    const link = this.#nextLink++
    this.input({ type: 'link-up', link, address, store, wire: WIRE_VERSION })
    return link
  }

  linkDown(link: ClientLink): void {
    this.input({ type: 'link-down', link })
  }

  receive(link: ClientLink, message: Message): void {
    this.input({ type: 'received', link, message })
  }

  call(call: ClientCall): CallToken {
    const token = this.#nextToken++
    this.input({ type: 'call', token, call })
    return token
  }

  write(volume: VolumeHandle, offset: number, length: number, fill = 1): CallToken {
    const bytes = new Uint8Array(length).fill(fill)
    const checksums = splitBlocks(this.#volume.blockSizeBytes, offset, length).map((part) => part.block)
    return this.call({ do: 'write', volume, offset, bytes, checksums })
  }

  read(volume: VolumeHandle, offset: number, length: number): CallToken {
    return this.call({ do: 'read', volume, offset, length })
  }

  /** Links to both nodes, the map learned. */
  connect(): { a: ClientLink; b: ClientLink } {
    const a = this.linkUp(STORE_A)
    const b = this.linkUp(STORE_B)
    this.sendMap(a)
    return { a, b }
  }

  /** Attaches the volume as control would, and gives the machine's handle of it. */
  open(mode: 'exclusive' | 'read-only' | 'shared' = 'exclusive'): VolumeHandle {
    const token = this.call({ do: 'open', name: 'demo', mode, policy: 'take' })
    if (mode !== 'read-only') {
      const { link, message } = this.last('admin')
      assert.equal(message.command.do, 'attach')
      this.attachAs(message.command.do === 'attach' ? message.command.session : (0 as SessionId), mode)
      this.adminDone(link, message.request, 'OK')
      this.sendMap(link)
    }
    const outcome = this.outcome(token)
    assert.ok(outcome.ok && outcome.result.kind === 'opened')
    return outcome.result.handle
  }

  /** A later attachment in the map, by this session. */
  attachAs(session: SessionId, mode: Holder['mode'] = 'exclusive', since?: number): void {
    const generation = this.#volume.generation + 1
    const changedAt = ++this.#revision
    const holder: Holder = { session, mode, client: 'someone', ...(since === undefined ? {} : { since }) }
    this.#volume = { ...this.#volume, generation, holders: [holder], changedAt }
  }

  /** Sessions hold the volume, in the generation that it has. */
  setHolders(holders: readonly Holder[]): void {
    this.#volume = { ...this.#volume, holders, changedAt: ++this.#revision }
  }

  adminDone(link: ClientLink, request: number, code: ErrorCode): void {
    this.receive(link, {
      type: 'admin-done',
      ...{ request, code: ERRORS[code].number, message: '', hint: '', revision: this.#revision },
      ...(code === 'OK' ? { volume: this.#volume } : {}),
    })
  }

  /** Names another primary of an extent, with a new epoch. The machine learns it with the next map. */
  move(index: number, store: StoreId): void {
    this.#revision++
    this.#extents = this.#extents.map((extent, at) =>
      at === index
        ? {
            ...extent,
            epoch: (extent.epoch + 1) as Epoch,
            revision: extent.revision + 1,
            primary: { store, counter: 1 },
          }
        : extent,
    )
  }

  sendMap(link: ClientLink, removed: readonly VolumeId[] = []): void {
    const delta: MapDelta = {
      cluster: 'c' as ClusterId,
      ...{ clusterGeneration: 0, from: 0, to: this.#revision, voters: [], removedVolumes: removed },
      ...(this.featureLevel === 0 ? {} : { featureLevel: this.featureLevel }),
      nodes: STORES.map(nodeRecord),
      volumes: removed.length > 0 ? [] : [this.#volume],
      extents: removed.length > 0 ? [] : this.#extents,
    }
    this.receive(link, { type: 'map-update', delta })
  }

  removeVolume(link: ClientLink): void {
    this.#revision++
    this.sendMap(link, [VOLUME])
  }

  answer(to: { readonly link: ClientLink; readonly message: ClientRequest }, code: ErrorCode): void {
    const { request, epoch } = to.message
    this.receive(to.link, { type: 'answer', request, code: ERRORS[code].number, epoch })
  }

  /** Answers a read with bytes of one value. */
  answerRead(to: Sent<'read'>, fill: number): void {
    const { request, length } = to.message
    const bytes = new Uint8Array(length).fill(fill)
    this.receive(to.link, { type: 'read-done', request, parts: [{ length, checksum: 0, bytes }] })
  }

  all<Type extends Message['type']>(type: Type): Sent<Type>[] {
    return this.sent.filter((sent): sent is Sent<Type> => sent.message.type === type)
  }

  last<Type extends Message['type']>(type: Type): Sent<Type> {
    const last = this.all(type).at(-1)
    assert.ok(last !== undefined, `nothing of type ${type} was sent`)
    return last
  }

  outcome(token: CallToken): ClientOutcome {
    const outcome = this.outcomes.get(token)
    assert.ok(outcome !== undefined, `call ${token} is not settled`)
    return outcome
  }

  isSettled(token: CallToken): boolean {
    return this.outcomes.has(token)
  }

  assertOk(token: CallToken): void {
    const outcome = this.outcome(token)
    assert.ok(outcome.ok, outcome.ok ? '' : `${outcome.failure.code}: ${outcome.failure.message}`)
  }

  /** The failure of a call, which must have failed with this code. */
  assertFailed(token: CallToken, code: ErrorCode): Readonly<Record<string, string | number | boolean>> {
    const outcome = this.outcome(token)
    assert.ok(!outcome.ok, `call ${token} succeeded`)
    assert.equal(outcome.failure.code, code)
    return outcome.failure.details ?? {}
  }

  #note(effect: ClientEffect): void {
    if (effect.type === 'send') this.sent.push(effect)
    else if (effect.type === 'withdraw') this.withdrawn.push(effect.request)
    else if (effect.type === 'close-link') this.closed.push(effect.link)
    else if (effect.type === 'dial') this.dialed = effect.addresses
    else if (effect.type === 'event') this.events.push(effect.event)
    else {
      assert.ok(!this.outcomes.has(effect.token), `call ${effect.token} is settled twice`)
      this.outcomes.set(effect.token, effect.outcome)
    }
  }
}

function nodeRecord(store: StoreId): NodeRecord {
  return {
    store,
    name: 'n' as NodeName,
    address: store === STORE_A ? 'a:1' : 'b:1',
    api: '',
    incarnation: { bootId: '', counter: 1 },
    trust: 'trusted',
    state: 'up',
    changedAt: 1,
  }
}
