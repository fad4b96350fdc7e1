import {
  type AttachMode,
  type AttachPolicy,
  type ExtentRecord,
  type Holder,
  LIMITS,
  type NodeEnd,
  type NodeRecord,
  type NodeState,
  type StoreId,
  type Trust,
  type VolumeRecord,
  type Voter,
} from '@ashlar/proto'
import { type ByteReader, ByteWriter, badFrame } from './bytes.ts'
import {
  addressField,
  bytesField,
  counterField,
  cutText,
  epochField,
  extentField,
  generationField,
  listLength,
  MAX_EXTENT_STORES,
  nameField,
  nodeNameField,
  readStore,
  readUuid,
  replicasField,
  revisionField,
  sessionField,
  textField,
  volumeField,
  whole,
  writeUuid,
} from './fields.ts'

/*
 * Records of the map in binary, so that a whole map is small and its decoding is bounded. Numbers are big-endian; `8`
 * is a safe integer in eight bytes; `text` is UTF-8 behind its length in two bytes; a choice is its place in a list
 * below.
 *
 * stores   count 2 | store 16 x count                               extents name a store by its place in this table (`s`, 2)
 * extent   id 8 | revision 8 | epoch 8 | primary s | counter 8 | changedAt 8 | set inSync | set eligible | set assigned
 * set      count 1 | s x count
 * volume   id 4 | name text | size 8 | blockSize 4 | extentSize 8 | replicas 1 | minInSync 1 | generation 8 |
 *          holders 2 | (session 8 | mode 1 | client text) x holders | changedAt 8
 * node     store 16 | name text | address text | api text | bootId text | counter 8 | trust 1 | state 1 | changedAt 8
 * end      counter 8 | at 8 | kind text | reason text
 * voter    store 16 | address text
 */

/** Choices by number: append-only, since the number is what travels. */
export const TRUSTS: readonly Trust[] = ['trusted', 'suspect']
export const NODE_STATES: readonly NodeState[] = ['up', 'down', 'draining']
export const ATTACH_MODES: readonly AttachMode[] = ['exclusive', 'read-only', 'shared']
export const ATTACH_POLICIES: readonly AttachPolicy[] = ['take', 'free', 'silent', 'resume']

const BOOT_ID_LENGTH = 64
export const CLIENT_LENGTH = 255
export const END_KIND_LENGTH = 40
export const END_REASON_LENGTH = 256
const EXTENT_FIXED_BYTES = 45
const MAX_TABLE_STORES = 2 ** 16 - 1

export function choiceIndex<T>(choices: readonly T[], value: T, what: string): number {
  const index = choices.indexOf(value)
  if (index < 0) throw badFrame(`${what} must be one of ${choices.join(', ')}`)
  return index
}

export function choiceAt<T>(choices: readonly T[], index: number, what: string): T {
  const value = choices[index]
  if (value === undefined) throw badFrame(`${what} number ${index} is unknown`)
  return value
}

/** Upper bound of a text's bytes. */
export function textBytes(value: string, max: number): number {
  return 2 + 3 * Math.min(value.length, max)
}

/**
 * Stores that the extents of one message name: written once, then named by their place. A place is given when a store
 * is first named, so that the table is complete, and can be written, behind what names it.
 */
export class StoreTable {
  private readonly places: Map<StoreId, number> = new Map()

  write(to: ByteWriter): void {
    to.u16(whole(this.places.size, 'stores', 0, MAX_TABLE_STORES))
    for (const store of this.places.keys()) writeUuid(to, store)
  }

  writeSet(to: ByteWriter, stores: readonly StoreId[]): void {
    to.u8(listLength(stores, MAX_EXTENT_STORES, 'stores of an extent'))
    for (const store of stores) this.writePlace(to, store)
  }

  writePlace(to: ByteWriter, store: StoreId): void {
    to.u16(this.placeOf(store))
  }

  private placeOf(store: StoreId): number {
    const known = this.places.get(store)
    if (known !== undefined) return known
    const place = this.places.size
    this.places.set(store, place)
    return place
  }
}

/** What names stores, behind the table of them. */
export function writeNaming(to: ByteWriter, bytes: number, write: (to: ByteWriter, table: StoreTable) => void): void {
  const table = new StoreTable()
  const naming = new ByteWriter(bytes)
  write(naming, table)
  table.write(to)
  to.raw(naming.written())
}

/** The same table on the reading side. */
export class StoreList {
  private readonly stores: StoreId[] = []

  constructor(from: ByteReader) {
    const count = from.count(from.u16(), 16, MAX_TABLE_STORES, 'stores')
    for (let i = 0; i < count; i++) this.stores.push(readStore(from))
  }

  readPlace(from: ByteReader): StoreId {
    return choiceAt(this.stores, from.u16(), 'store')
  }

  readSet(from: ByteReader): StoreId[] {
    const count = from.count(from.u8(), 2, MAX_EXTENT_STORES, 'stores of an extent')
    const set: StoreId[] = []
    for (let i = 0; i < count; i++) set.push(this.readPlace(from))
    return set
  }
}

export function extentBytes(record: ExtentRecord): number {
  return EXTENT_FIXED_BYTES + 2 * (record.inSync.length + record.eligible.length + record.assigned.length)
}

export function writeExtent(to: ByteWriter, table: StoreTable, record: ExtentRecord): void {
  to.u53(extentField(record.id))
  to.u53(revisionField(record.revision))
  to.u53(epochField(record.epoch))
  table.writePlace(to, record.primary.store)
  to.u53(counterField(record.primary.counter))
  to.u53(revisionField(record.changedAt))
  table.writeSet(to, record.inSync)
  table.writeSet(to, record.eligible)
  table.writeSet(to, record.assigned)
}

export function readExtent(from: ByteReader, stores: StoreList): ExtentRecord {
  const id = extentField(from.u53())
  const revision = revisionField(from.u53())
  const epoch = epochField(from.u53())
  const primary = { store: stores.readPlace(from), counter: counterField(from.u53()) }
  const changedAt = revisionField(from.u53())
  const inSync = stores.readSet(from)
  const eligible = stores.readSet(from)
  return { id, revision, epoch, primary, inSync, eligible, assigned: stores.readSet(from), changedAt }
}

export function volumeBytes(volume: VolumeRecord): number {
  const holders = volume.holders.reduce((sum, holder) => sum + 9 + textBytes(holder.client, CLIENT_LENGTH), 0)
  return 46 + textBytes(volume.name, LIMITS.nameLength) + holders
}

export function writeVolume(to: ByteWriter, volume: VolumeRecord): void {
  to.u32(volumeField(volume.id))
  to.text(nameField(volume.name))
  to.u53(bytesField(volume.sizeBytes))
  to.u32(whole(volume.blockSizeBytes, 'blockSizeBytes', 1, LIMITS.maxBlockBytes))
  to.u53(whole(volume.extentSizeBytes, 'extentSizeBytes', 1, LIMITS.maxExtentBytes))
  to.u8(replicasField(volume.replicas))
  to.u8(replicasField(volume.minInSync))
  to.u53(generationField(volume.generation))
  to.u16(listLength(volume.holders, LIMITS.holders, 'holders'))
  for (const holder of volume.holders) {
    to.u53(sessionField(holder.session))
    to.u8(choiceIndex(ATTACH_MODES, holder.mode, 'mode'))
    to.text(cutText(holder.client, 'client', CLIENT_LENGTH))
  }
  to.u53(revisionField(volume.changedAt))
}

export function readVolume(from: ByteReader): VolumeRecord {
  const id = volumeField(from.u32())
  const name = nameField(from.text())
  const sizeBytes = bytesField(from.u53())
  const blockSizeBytes = whole(from.u32(), 'blockSizeBytes', 1, LIMITS.maxBlockBytes)
  const extentSizeBytes = whole(from.u53(), 'extentSizeBytes', 1, LIMITS.maxExtentBytes)
  const replicas = replicasField(from.u8())
  const minInSync = replicasField(from.u8())
  const generation = generationField(from.u53())
  const count = from.count(from.u16(), 11, LIMITS.holders, 'holders')
  const holders: Holder[] = []
  for (let i = 0; i < count; i++) {
    holders.push({
      session: sessionField(from.u53()),
      mode: choiceAt(ATTACH_MODES, from.u8(), 'mode'),
      client: textField(from.text(), 'client', CLIENT_LENGTH),
    })
  }
  const changedAt = revisionField(from.u53())
  return {
    id,
    name,
    sizeBytes,
    blockSizeBytes,
    extentSizeBytes,
    replicas,
    minInSync,
    generation,
    holders,
    changedAt,
  }
}

export function nodeBytes(node: NodeRecord): number {
  return 42 + node.name.length + node.address.length + node.api.length + node.incarnation.bootId.length
}

export function writeNode(to: ByteWriter, node: NodeRecord): void {
  writeUuid(to, node.store)
  to.text(nodeNameField(node.name))
  to.text(addressField(node.address))
  to.text(addressField(node.api))
  to.text(bootIdField(node.incarnation.bootId))
  to.u53(counterField(node.incarnation.counter))
  to.u8(choiceIndex(TRUSTS, node.trust, 'trust'))
  to.u8(choiceIndex(NODE_STATES, node.state, 'state'))
  to.u53(revisionField(node.changedAt))
}

export function readNode(from: ByteReader): NodeRecord {
  return {
    store: readStore(from),
    name: nodeNameField(from.text()),
    address: addressField(from.text()),
    api: addressField(from.text()),
    incarnation: { bootId: bootIdField(from.text()), counter: counterField(from.u53()) },
    trust: choiceAt(TRUSTS, from.u8(), 'trust'),
    state: choiceAt(NODE_STATES, from.u8(), 'state'),
    changedAt: revisionField(from.u53()),
  }
}

/** Why a node ended, which a delta has behind its other records. */
export function endBytes({ kind, reason }: NodeEnd): number {
  return 18 + textBytes(kind, END_KIND_LENGTH) + textBytes(reason, END_REASON_LENGTH)
}

export function writeEnd(to: ByteWriter, { counter, at, kind, reason }: NodeEnd): void {
  to.u53(counterField(counter))
  to.u53(whole(at, 'at', 0, Number.MAX_SAFE_INTEGER))
  to.text(cutText(kind, 'kind', END_KIND_LENGTH))
  to.text(cutText(reason, 'reason', END_REASON_LENGTH))
}

export function readEnd(from: ByteReader): NodeEnd {
  const counter = counterField(from.u53())
  const at = whole(from.u53(), 'at', 0, Number.MAX_SAFE_INTEGER)
  const kind = textField(from.text(), 'kind', END_KIND_LENGTH)
  return { counter, kind, reason: textField(from.text(), 'reason', END_REASON_LENGTH), at }
}

/** What the operating system calls this boot: printable ASCII. */
export function bootIdField(value: unknown): string {
  const text = textField(value, 'bootId', BOOT_ID_LENGTH)
  if (!/^[\x21-\x7e]*$/.test(text)) throw badFrame('bootId must be printable ASCII without spaces')
  return text
}

export function voterBytes(voter: Voter): number {
  return 18 + voter.address.length
}

export function writeVoter(to: ByteWriter, voter: Voter): void {
  writeUuid(to, voter.store)
  to.text(addressField(voter.address))
}

export function readVoter(from: ByteReader): Voter {
  return { store: readUuid(from) as StoreId, address: addressField(from.text()) }
}
