import type { ExtentRecord, NodeRecord, StoreId } from '@ashlar/proto'
import { countsIn, isName, LIMITS } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord, replaceInSync, type Unstamped, volumeOfExtent, without } from '../map/index.ts'
import { type CommandResult, done, refused, type Steps } from './command-result.ts'
import {
  countsOn,
  isTrusted,
  type Live,
  primaryStands,
  type Reason,
  reasonToReplace,
  reconcileSuspects,
  replacePrimary,
} from './epochs.ts'
import { levelProblem } from './feature-levels.ts'

type Register = Extract<Command, { do: 'register' }>
type Expire = Extract<Command, { do: 'expire' }>

/**
 * Registers an incarnation of a store (CTL-4, amendments 11, 14 and 15). One entry writes its record, supersedes the
 * store that had its name or address, replaces it as primary of what its earlier incarnation led, takes it out of sets
 * where it is suspect, and names primaries for extents that waited for it.
 */
export function* applyRegister(state: MapState, registration: Register): Steps<CommandResult> {
  const known = state.nodes.get(registration.store)
  if (known !== undefined && isCopy(known, registration)) {
    state.copied.add(registration.store)
    return refuseCopy(known, registration)
  }
  const refusal = refuseRegister(state, registration, known)
  if (refusal !== undefined) return refusal

  const sameIncarnation = known !== undefined && isSameIncarnation(known, registration)
  // The counter of a copy rises with each start too, and may pass the last one that was seen.
  const wasCopied = !sameIncarnation && state.copied.has(registration.store)
  const command: Register = wasCopied ? { ...registration, trust: 'suspect' } : registration
  putRegistered(state, command, known)
  const live: Live = new Set([...command.live, command.store])
  yield* supersede(state, command, live)
  if (known !== undefined && !sameIncarnation)
    yield* replaceEarlierIncarnation(state, command.store, command.incarnation.counter, live)
  if (command.trust === 'suspect' && !sameIncarnation) yield* giveUp(state, command.store, live)
  // Where the store is in sync again it was compared, so its next incarnation is trusted as this one is.
  if (wasCopied && !countsAnywhere(state, command.store)) state.copied.delete(command.store)
  if (isTrusted(state, command.store)) yield* serveWaiting(state, command.store, live)
  else yield* reconcileWaiting(state, command.store, live)
  return done()
}

/**
 * The refusal of a registration that would change nothing: refused without an entry, since it may be repeated often.
 */
export function knownRefusal(state: MapState, command: Register): CommandResult | undefined {
  const known = state.nodes.get(command.store)
  if (known === undefined || !isCopy(known, command)) return refuseRegister(state, command, known)
  return state.copied.has(command.store) ? refuseCopy(known, command) : undefined
}

/**
 * True for another incarnation with a counter that was already seen: two directories have one identity, or one was
 * rolled back (A2.0-3). Equal counters differ by the random number of each opening.
 */
function isCopy(known: NodeRecord, command: Register): boolean {
  return !isSameIncarnation(known, command) && command.incarnation.counter <= known.incarnation.counter
}

function refuseCopy(known: NodeRecord, { store, incarnation }: Register): CommandResult {
  return refused(
    'CONFLICT',
    `store ${store} registered with start counter ${incarnation.counter}, but start ${known.incarnation.counter} was seen before: ` +
      'its data directory is a copy, was restored from one, or was rolled back',
    'start it with an empty directory',
  )
}

function countsAnywhere(state: MapState, store: StoreId): boolean {
  return state.assignedTo(store).some((id) => countsIn(state.extents.get(id) as ExtentRecord, store))
}

function refuseRegister(state: MapState, command: Register, known: NodeRecord | undefined): CommandResult | undefined {
  if (!isName(command.name))
    return refused('USAGE', `"${command.name}" is not a node name`, 'use 1 to 63 of a-z 0-9 . _ -')
  if (command.address === '') return refused('USAGE', `node ${command.name} registered without an address`)
  const unable = levelProblem(state.featureLevel, command)
  if (unable !== undefined) return unable
  if (known === undefined && state.nodes.size >= LIMITS.nodes)
    return refused('CONFLICT', `the cluster has ${LIMITS.nodes} stores, which is as many as it can have`)
  const namesake = [...state.nodes.values()].find(
    (node) => node.store !== command.store && node.name === command.name && isAlive(node, command),
  )
  if (namesake !== undefined && namesake.address !== '' && namesake.address !== command.address)
    return refused(
      'CONFLICT',
      `a live store at ${namesake.address} is already named ${command.name}`,
      'give this node another --name, or stop the other one first',
    )
  return undefined
}

function isAlive(node: NodeRecord, command: Register): boolean {
  return node.state !== 'down' && command.live.includes(node.store)
}

function isSameIncarnation(node: NodeRecord, command: Register): boolean {
  return (
    node.incarnation.counter === command.incarnation.counter && node.incarnation.bootId === command.incarnation.bootId
  )
}

function putRegistered(state: MapState, command: Register, known: NodeRecord | undefined): void {
  const isSame = known !== undefined && isSameIncarnation(known, command)
  const record: Unstamped<NodeRecord> = {
    store: command.store,
    name: command.name,
    address: command.address,
    api: command.api,
    incarnation: command.incarnation,
    // Trust was determined when the store was opened: only a comparison changes it within the incarnation (A2.17-4).
    trust: isSame ? known.trust : command.trust,
    state: known?.state === 'draining' ? 'draining' : 'up',
    // A late duplicate of its registration does not undo what an incarnation reported last (A2.23-2).
    ...(isSame && known.ended !== undefined ? { ended: known.ended } : {}),
  }
  // A store with an address of its own has no successor.
  state.successors.delete(command.store)
  state.takeBack(command.store)
  if (known === undefined || !sameNode(known, record)) state.putNode(record)
}

function sameNode(known: NodeRecord, record: Unstamped<NodeRecord>): boolean {
  return (
    known.name === record.name &&
    known.address === record.address &&
    known.api === record.api &&
    known.incarnation.bootId === record.incarnation.bootId &&
    known.incarnation.counter === record.incarnation.counter &&
    known.trust === record.trust &&
    known.state === record.state &&
    known.ended === record.ended
  )
}

/**
 * Amendment 15: the store that had this name or address loses its address and leaves every set with another trusted
 * member. Where it is primary and may hold a lease, it stays until the lease has run out, since its process may still
 * run (A2.3-4).
 */
function* supersede(state: MapState, command: Register, live: Live): Steps {
  const taken = [...state.nodes.values()].filter(
    (node) =>
      node.store !== command.store &&
      node.address !== '' &&
      (node.address === command.address || node.name === command.name),
  )
  for (const node of taken) {
    state.putNode({ ...node, address: '' })
    state.successors.set(node.store, command.store)
  }
  for (const node of taken) {
    const mayServe = isAlive(node, command)
    for (const id of state.assignedTo(node.store)) {
      const record = state.extents.get(id) as ExtentRecord
      if (record.primary.store !== node.store) takeOut(state, record, node.store)
      else if (!mayServe) replacePrimary(state, id, 'suspect', live)
      yield
    }
  }
}

/** Extents that an earlier incarnation of the store led: another store leads them, or this incarnation. */
export function* replaceEarlierIncarnation(state: MapState, store: StoreId, counter: number, live: Live): Steps {
  for (const id of state.ledBy(store)) {
    const record = state.extents.get(id) as ExtentRecord
    const suspect = !isTrusted(state, store) || reasonToReplace(state, record) === 'suspect'
    const reason: Reason = suspect ? 'suspect' : 'restarted'
    if (record.primary.counter !== counter) replacePrimary(state, id, reason, live)
    yield
  }
}

/** Takes the store out of every set that has another trusted member (amendment 15). */
export function* giveUp(state: MapState, store: StoreId, live: Live): Steps {
  for (const id of state.assignedTo(store)) {
    const record = state.extents.get(id) as ExtentRecord
    if (record.primary.store === store) replacePrimary(state, id, 'suspect', live)
    else takeOut(state, record, store)
    yield
  }
}

/**
 * Takes a member that is not primary out of the sets that have another trusted member, and gives its assignment away.
 */
function takeOut(state: MapState, record: ExtentRecord, store: StoreId): void {
  const others = [...record.inSync, ...record.eligible].filter((member) => member !== store)
  const counts = countsIn(record, store)
  if (counts && !others.some((member) => countsOn(state, member))) return
  const { minInSync } = volumeOfExtent(state, record)
  const sets = replaceInSync(record, without(record.inSync, store), minInSync, [store])
  if (counts || state.successors.has(store)) putExtentRecord(state, { ...record, ...sets })
}

/** Extents without a serving primary that this store can serve, or help to serve. */
export function* serveWaiting(state: MapState, store: StoreId, live: Live): Steps {
  for (const id of state.assignedTo(store)) {
    yield
    const record = state.extents.get(id) as ExtentRecord
    if (primaryStands(state, record)) continue
    if (countsIn(record, store)) replacePrimary(state, id, reasonToReplace(state, record), live)
  }
}

/** Begins the reconciliation of extents that have only suspect stores left, once all of those are up (A2.17-3). */
export function* reconcileWaiting(state: MapState, store: StoreId, live: Live): Steps {
  for (const id of state.assignedTo(store)) {
    yield
    reconcileSuspects(state, state.extents.get(id) as ExtentRecord, live)
  }
}

/**
 * Marks stores whose lease ran out as down, and replaces them as primary where a live store can serve (amendment 14).
 */
export function* applyExpire(state: MapState, command: Expire): Steps<CommandResult> {
  const expired: StoreId[] = []
  for (const { store, counter } of command.stores) {
    const node = state.nodes.get(store)
    // A later incarnation has a lease of its own.
    if (node === undefined || node.state === 'down' || node.incarnation.counter !== counter) continue
    state.putNode({ ...node, state: 'down' })
    expired.push(store)
  }
  const live: Live = new Set(command.live.filter((store) => !expired.includes(store)))
  for (const store of expired)
    for (const id of state.ledBy(store)) {
      const record = state.extents.get(id) as ExtentRecord
      replacePrimary(state, id, reasonToReplace(state, record), live)
      yield
    }
  return done()
}
