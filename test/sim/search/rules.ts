import type { Effect, ReplicaChange } from '@ashlar/node/core'
import { type Answer, BLOCK_ABSENT, ERRORS, type ExtentRecord, type Message, type StoreId } from '@ashlar/proto'
import { checkRegister, type RegisterOperation } from '../../kit/history/register-check.ts'
import { valuesOf } from '../workload/stamps.ts'
import { type Cluster, type Draft, nodeOf } from './cluster.ts'
import { type Call, CONTROL, type NodeState, type Position, storeName } from './state.ts'

/** Numbers of requests: write 1 is 101, read 1 is 201. */
export const WRITE_REQUEST = 100
export const READ_REQUEST = 200

/**
 * The invariants of a search, checked at every effect: those of protocol A3 that the checkers of the simulator know, as
 * functions of a state. What they need of the past is part of the state.
 */
export class Rules {
  private readonly cluster: Cluster

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  blockOf(write: number): number {
    return this.cluster.scenario.blocks === 1 ? 0 : write - 1
  }

  // ---- stores ---------------------------------------------------------------------------------------------------------

  /** A store is asked to commit a change. */
  changing(draft: Draft, node: number, change: ReplicaChange): void {
    this.checkHead(draft, node, change)
    for (const { block, version } of change.blocks) {
      if (version.kind !== BLOCK_ABSENT) this.checkContent(draft, block, [version.epoch, version.seq], version.checksum)
    }
    const { operation, blocks } = change
    const [first] = blocks
    if (operation === undefined || operation.cancel || first === undefined) return
    const { block, version } = first
    this.checkOnce(draft, node, { write: operation.op, block, position: [version.epoch, version.seq] })
    this.applied(draft, operation.op, [version.epoch, version.seq])
  }

  /**
   * What was promised, led, or known to be committed only rises; nothing below the promise is applied (A3-2, A3-16).
   */
  private checkHead(draft: Draft, node: number, { head, windows }: ReplicaChange): void {
    const { images } = this.cluster
    const before = images.get(this.cluster.visible(draft.nodes[node] as NodeState)).replica?.head
    if (before === undefined) return
    for (const field of ['promised', 'led', 'commitSeq', 'generation'] as const) {
      if ((head[field] ?? Infinity) < before[field])
        this.broken(draft, 'only-rises', `${field} of node ${node} went back`)
    }
    const writes = head.lastEpoch !== undefined && windows === undefined
    if (writes && (head.lastEpoch ?? 0) < Math.max(before.promised, head.promised ?? 0)) {
      this.broken(draft, 'fence', `node ${node} applied a write of epoch ${head.lastEpoch}, below its promise`)
    }
  }

  /** Equal versions, equal contents (A3-6). */
  private checkContent(draft: Draft, block: number, [epoch, seq]: Position, checksum: number): void {
    const { contents } = draft.around
    const key = `${block}:${epoch}:${seq}=`
    const text = `${key}${checksum}`
    if (contents.includes(text)) return
    if (contents.some((other) => other.startsWith(key))) {
      this.broken(draft, 'equal-versions', `two contents of ${key.slice(0, -1)} (block:epoch:seq)`)
    }
    draft.around = { ...draft.around, contents: [...contents, text].sort() }
  }

  /** A store that holds what an operation wrote under one version does not apply it under another one (A3-24). */
  private checkOnce(
    draft: Draft,
    node: number,
    { write, block, position }: { readonly write: number; readonly block: number; readonly position: Position },
  ): void {
    const replica = this.cluster.images.get(this.cluster.visible(draft.nodes[node] as NodeState)).replica
    const held = replica?.versions.get(block)
    if (held === undefined) return
    const earlier = (draft.around.applied[write - 1] ?? []).find(
      (other) => compare(other, [held.epoch, held.seq]) === 0 && compare(other, position) !== 0,
    )
    if (earlier === undefined) return
    this.broken(draft, 'applied-once', `node ${node} holds write ${write} as (${earlier.join()}) and applies it again`)
  }

  /** An operation gets a place in the order: never again once it was answered (A3-24). */
  private applied(draft: Draft, write: number, position: Position): void {
    const known = draft.around.applied[write - 1] ?? []
    if (known.some((other) => compare(other, position) === 0)) return
    if (draft.around.writes[write - 1]?.state === 'done') {
      this.broken(draft, 'applied-once', `write ${write} was applied again after its answer`)
    }
    const applied = draft.around.applied.with(write - 1, [...known, position].sort(compare))
    draft.around = { ...draft.around, applied }
  }

  /** What a node wrote is on stable storage; `before`: what was there until now. */
  written(draft: Draft, node: number, before: number): void {
    if (node !== CONTROL) return
    const was = this.cluster.truthOf(before).record
    const is = this.cluster.truth(draft).record
    if (was === undefined || is === undefined || was === is) return
    this.checkRecord(draft, was, is)
    for (const store of is.inSync) {
      if (!was.inSync.includes(store)) this.checkHolds(draft, 'in-sync-holds-all', `${store} is in sync`, store)
    }
  }

  private checkRecord(draft: Draft, was: ExtentRecord, is: ExtentRecord): void {
    if (is.inSync.length === 0) this.broken(draft, 'sets', 'the in-sync set is empty')
    if (!is.inSync.includes(is.primary.store)) this.broken(draft, 'sets', 'the primary is not in sync')
    if (is.eligible.some((store) => is.inSync.includes(store)))
      this.broken(draft, 'sets', 'an eligible store is in sync')
    if (is.epoch < was.epoch) this.broken(draft, 'only-rises', 'the epoch went back')
    const moved = was.primary.store !== is.primary.store || was.primary.counter !== is.primary.counter
    if (moved && is.epoch === was.epoch) this.broken(draft, 'one-primary-per-epoch', `two primaries of ${is.epoch}`)
  }

  /** A primary serves from here on (A3-1, A3-5, A3-15; A2.8-3). */
  activated(draft: Draft, node: number, epoch: number): void {
    const incarnation = `${epoch}:${node}/${draft.nodes[node]?.counter}`
    const { served } = draft.around
    const store = storeName(node)
    if (served.some((other) => other !== incarnation && other.startsWith(`${epoch}:`))) {
      this.broken(draft, 'one-primary-per-epoch', `${incarnation} serves after ${served.join(' ')}`)
    }
    if (this.cluster.truth(draft).named.get(epoch)?.store !== store) {
      this.broken(draft, 'one-primary-per-epoch', `${incarnation} serves and was not named`)
    }
    if (!served.includes(incarnation)) draft.around = { ...draft.around, served: [...served, incarnation] }
    this.checkHolds(draft, 'acked-survives', `node ${node} serves in epoch ${epoch}`, store, epoch)
    this.checkEnough(draft, node)
    this.checkPromised(draft, node, epoch)
  }

  private checkPromised(draft: Draft, node: number, epoch: number): void {
    for (const member of this.kept(draft, node)?.inSync ?? []) {
      if ((this.durable(draft, nodeOf(member))?.head.promised ?? 0) >= epoch) continue
      this.broken(draft, 'all-promised', `node ${node} serves in epoch ${epoch}, which ${member} has not promised`)
    }
  }

  // ---- messages ---------------------------------------------------------------------------------------------------------

  /** What a message promises is on the disk of its sender (A2.14). */
  sending(draft: Draft, node: number, message: Message): void {
    const early = (what: string): void => this.broken(draft, 'persist-before-send', `node ${node} sent ${what}`)
    const head = this.durable(draft, node)?.head
    const { map } = this.cluster.truth(draft)
    switch (message.type) {
      case 'opened':
        if ((head?.promised ?? 0) < message.epoch) early(`OPENED of ${message.epoch}, promised is ${head?.promised}`)
        return
      case 'open':
        if ((head?.led ?? 0) < message.epoch) early(`OPEN of ${message.epoch}, led is ${head?.led}`)
        return
      case 'ack':
        if (message.seq > (head?.lastSeq ?? 0)) early(`ACK of ${message.seq}, durable is ${head?.lastSeq}`)
        return
      case 'map-update':
        if (message.delta.to > map.revision) early(`map revision ${message.delta.to} before it was durable`)
        return
      case 'renewed':
      case 'registered':
        if (message.revision > map.revision) early(`${message.type} before its entry was durable`)
        return
      case 'sets-changed': {
        const revision = this.cluster.truth(draft).record?.revision ?? 0
        if (message.results.some(({ record }) => (record?.revision ?? 0) > revision)) early('sets-changed early')
      }
    }
  }

  /** A write ended, or a read was refused. */
  answered(draft: Draft, node: number, { request, code, epoch }: Answer): void {
    if (request > READ_REQUEST) return this.refused(draft, 'reads', request - READ_REQUEST, false)
    const write = request - WRITE_REQUEST
    const call = draft.around.writes[write - 1] as Call
    if (call.state !== 'sent') return
    if (code !== ERRORS.OK.number) {
      const indeterminate = code === ERRORS.INDETERMINATE.number || call.again
      return this.refused(draft, 'writes', write, indeterminate)
    }
    this.checkServes(draft, node, epoch, `write ${write}`)
    const positions = draft.around.applied[write - 1] ?? []
    const block = this.blockOf(write)
    const held = positions.findLast((position) => this.holds(draft, storeName(node), block, position))
    const record = this.cluster.truth(draft).record
    for (const store of record?.inSync ?? []) {
      if (positions.some((position) => this.holds(draft, store, block, position))) continue
      this.broken(draft, 'acked-durable', `node ${node} acknowledged write ${write}, not durable on ${store}`)
    }
    if (held === undefined)
      this.broken(draft, 'acked-durable', `write ${write} was acknowledged and is not on node ${node}`)
    for (const store of this.durable(draft, node)?.head.record?.inSync ?? []) {
      if (positions.some((position) => this.holds(draft, store, block, position))) continue
      this.broken(draft, 'acked-under-kept-record', `write ${write} is not on ${store}`)
    }
    this.checkEnough(draft, node)
    const history = block === 0 ? [...draft.around.history, `w${write})`] : draft.around.history
    const writes = draft.around.writes.with(write - 1, { ...call, state: 'done' })
    draft.around = { ...draft.around, writes, history }
    if (held !== undefined) this.remember(draft, block, held)
  }

  private refused(draft: Draft, kind: 'writes' | 'reads', number: number, open: boolean): void {
    const calls = draft.around[kind]
    const call = calls[number - 1] as Call
    if (call.state !== 'sent') return
    const begun = `${kind[0]}${number}(`
    const history = open ? draft.around.history : draft.around.history.filter((event) => event !== begun)
    const after: Call = open ? { ...call, state: 'open' } : { state: 'new', node: 0, epoch: 0, again: false, since: 0 }
    draft.around = { ...draft.around, [kind]: calls.with(number - 1, after), history }
  }

  readAnswered(draft: Draft, node: number, effect: Extract<Effect, { type: 'reply-read' }>): void {
    const read = effect.request - READ_REQUEST
    const call = draft.around.reads[read - 1] as Call
    if (call.state !== 'sent') return
    if (call.since > call.epoch) {
      this.broken(
        draft,
        'zombie',
        `node ${node} answered read ${read} in ${call.epoch}, sent while ${call.since} served`,
      )
    }
    this.checkPromised(draft, node, call.epoch)
    const bytes = effect.blocks[0]?.bytes
    const value = bytes === undefined ? 0 : valuesOf(bytes)[0]
    const history = [...draft.around.history, `r${read}=${value}`]
    draft.around = { ...draft.around, reads: draft.around.reads.with(read - 1, { ...call, state: 'done' }), history }
    const problem = checkRegister(operationsOf(history))
    if (problem !== undefined) this.broken(draft, 'linearizable', `${problem.text}: ${history.join(' ')}`)
  }

  // ---- what is asked of several ------------------------------------------------------------------------------------------

  /** Only the store that control names now acknowledges, in the incarnation that it was named in (A3-12, A3-19). */
  private checkServes(draft: Draft, node: number, epoch: number, what: string): void {
    const record = this.cluster.truth(draft).record
    const { counter } = draft.nodes[node] as NodeState
    if (record?.primary.store === storeName(node) && record.primary.counter === counter && record.epoch === epoch)
      return
    this.broken(draft, 'zombie', `node ${node} answered ${what} in ${epoch}, control is in ${record?.epoch}`)
  }

  private checkEnough(draft: Draft, node: number): void {
    const inSync = this.kept(draft, node)?.inSync.length ?? 0
    if (inSync >= this.cluster.scenario.minInSync) return
    this.broken(draft, 'min-in-sync', `node ${node} serves with ${inSync} in sync`)
  }

  private checkHolds(draft: Draft, rule: string, what: string, store: StoreId, upTo = Infinity): void {
    for (const [block, position] of draft.around.acknowledged) {
      if (position[0] > upTo || this.holds(draft, store, block, position)) continue
      this.broken(draft, rule, `${what} without acknowledged (${position.join()}) of block ${block}`)
    }
  }

  private holds(draft: Draft, store: StoreId, block: number, position: Position): boolean {
    const version = this.durable(draft, nodeOf(store))?.versions.get(block)
    return version !== undefined && compare([version.epoch, version.seq], position) >= 0
  }

  private durable(draft: Draft, node: number) {
    return this.cluster.images.get((draft.nodes[node] as NodeState).image).replica
  }

  /** The record that a node acts under, synced or not. */
  private kept(draft: Draft, node: number) {
    return this.cluster.images.get(this.cluster.visible(draft.nodes[node] as NodeState)).replica?.head.record
  }

  private remember(draft: Draft, block: number, position: Position): void {
    const others = draft.around.acknowledged.filter(([other]) => other !== block)
    const known = draft.around.acknowledged.find(([other]) => other === block)
    const newest = known !== undefined && compare(known[1], position) > 0 ? known : ([block, position] as const)
    draft.around = { ...draft.around, acknowledged: [...others, newest].sort((a, b) => a[0] - b[0]) }
  }

  private broken(draft: Draft, rule: string, text: string): void {
    draft.violations.push(`${rule}: ${text}`)
  }
}

function compare(a: Position, b: Position): number {
  return a[0] - b[0] || a[1] - b[1]
}

function operationsOf(history: readonly string[]): RegisterOperation[] {
  const operations: RegisterOperation[] = []
  const at = (event: string): number => history.indexOf(event)
  for (const [index, event] of history.entries()) {
    const number = Number(event[1])
    if (event.startsWith('w') && event.endsWith('(')) {
      const returned = at(`w${number})`)
      operations.push({ kind: 'write', value: number, invoked: index, returned: returned < 0 ? Infinity : returned })
    }
    if (event.startsWith('r') && event.includes('=')) {
      const value = Number(event.slice(3))
      operations.push({ kind: 'read', value, invoked: at(`r${number}(`), returned: index })
    }
  }
  return operations
}
