import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallToken, ClientLink, VolumeHandle } from '@ashlar/client/core'
import type { ClientRequest, ErrorCode, StoreId } from '@ashlar/proto'
import { Random } from '../../src/core/random.ts'
import { MachineScript, STORE_A, STORE_B } from '../kit/machine-script.ts'

const BLOCK = 4096
const BLOCKS = 12
const SEEDS = Number(process.env['ASHLAR_CHAOS_SEEDS'] ?? 150)
const FIRST_SEED = Number(process.env['ASHLAR_CHAOS_FIRST_SEED'] ?? 1)
const STEPS = 250

interface Change {
  readonly op: number
  readonly first: number
  readonly last: number
}

interface Pending {
  readonly kind: 'read' | 'write'
  readonly first: number
  readonly last: number
  /** Of a write: the stamp in its blocks. */
  readonly stamp: number
  /** Of a read: per block, the newest stamp whose write had succeeded when the read was called. */
  readonly floor: readonly number[]
}

/**
 * A client machine over a faulty network and a cluster of two nodes that share one memory: links break with what is on
 * them, primaries move, answers are refusals, callers give up. The cluster dedupes as a real one; the test checks what the
 * client alone can break.
 */
class Chaos {
  readonly script = new MachineScript({ ioTimeoutMs: 2000, answerTimeoutMs: 300, waitRetryMs: 50, cancelGraceMs: 200 })
  readonly volume: VolumeHandle
  readonly #random: Random
  readonly #links: Map<StoreId, ClientLink> = new Map()
  /** Requests on their way to each node, and answers on their way back, in the order of their link. */
  #requests: { readonly link: ClientLink; readonly message: ClientRequest }[] = []
  #answers: { readonly link: ClientLink; readonly message: ClientRequest; readonly code: ErrorCode }[] = []
  /** Requests of broken links that a node has not read yet: carried out some time later, answered to nobody. */
  #late: ClientRequest[] = []
  #seen: number
  #primary: StoreId = STORE_A
  #epoch = 1
  #healed = false
  readonly #stamps: number[] = new Array<number>(BLOCKS).fill(0)
  readonly #succeeded: number[] = new Array<number>(BLOCKS).fill(0)
  readonly #applied: Map<number, Change> = new Map()
  readonly #cancelled: Set<number> = new Set()
  readonly #appliedStamps: Set<number> = new Set()
  readonly #pending: Map<CallToken, Pending> = new Map()
  /** Ranges of the writes by their stamps. */
  readonly #writes: Map<number, { readonly first: number; readonly last: number }> = new Map()
  /** Stamps of writes that failed for certain. */
  readonly #certainlyNot: Set<number> = new Set()
  #stamp = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    const { a, b } = this.script.connect()
    this.#links.set(STORE_A, a).set(STORE_B, b)
    this.volume = this.script.open()
    this.#seen = this.script.sent.length
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#step()
      this.#collect()
    }
    this.#healed = true
    for (const message of this.#late.splice(0)) this.#apply(message)
    for (let round = 0; round < 400 && (this.#pending.size > 0 || this.script.machine.isBusy); round++) {
      this.#relink()
      while (this.#requests.length > 0 || this.#answers.length > 0) {
        this.#executeEffects()
        this.#deliver()
      }
      this.script.pass(50)
      this.#collect()
    }
    assert.equal(this.#pending.size, 0, 'every call ends once the faults do')
    assert.equal(this.script.machine.isBusy, false, 'and every operation is resolved')
  }

  #pick(count: number): number {
    return Math.floor(this.#random.fraction() * count)
  }

  #step(): void {
    const dice = this.#pick(100)
    if (dice < 18) this.#call()
    else if (dice < 45) this.#executeEffects()
    else if (dice < 75) this.#deliver()
    else if (dice < 80) this.#breakLink()
    else if (dice < 86) this.#relink()
    else if (dice < 90) this.#movePrimary()
    else if (dice < 92) this.#abandon()
    else if (dice < 94) this.#carryOutLate()
    else this.script.pass(1 + this.#pick(dice < 96 ? 20 : 300))
  }

  #call(): void {
    const first = this.#pick(BLOCKS)
    const last = Math.min(BLOCKS - 1, first + this.#pick(3))
    const length = (last - first + 1) * BLOCK
    if (this.#pick(3) === 0) {
      const token = this.script.read(this.volume, first * BLOCK, length)
      this.#pending.set(token, { kind: 'read', first, last, stamp: 0, floor: this.#succeeded.slice(first, last + 1) })
    } else {
      const stamp = ++this.#stamp
      this.#writes.set(stamp, { first, last })
      const token = this.script.write(this.volume, first * BLOCK, length, stamp % 251)
      this.#pending.set(token, { kind: 'write', first, last, stamp, floor: [] })
    }
  }

  /** A node takes the next request of its link. */
  #executeEffects(): void {
    const next = this.#requests.shift()
    if (next === undefined) return
    const { link, message } = next
    const refusals: readonly ErrorCode[] = ['WAIT', 'BUSY', 'NOT_PRIMARY', 'INDETERMINATE', 'NO_SPACE']
    const isPrimary = this.#links.get(this.#primary) === link && message.epoch === this.#epoch
    if (!isPrimary) this.#answers.push({ link, message, code: 'NOT_PRIMARY' })
    else if (!this.#healed && this.#pick(4) === 0)
      this.#answers.push({ link, message, code: refusals[this.#pick(refusals.length)] ?? 'WAIT' })
    else this.#answers.push({ link, message, code: this.#apply(message) })
  }

  #carryOutLate(): void {
    const [message] = this.#late.splice(this.#pick(this.#late.length), 1)
    if (message !== undefined) this.#apply(message)
  }

  #apply(message: ClientRequest): ErrorCode {
    if (message.epoch !== this.#epoch) return 'NOT_PRIMARY'
    if (message.type === 'read' || message.type === 'query-allocation') return 'OK'
    const { op } = message.operation
    if (this.#applied.has(op)) return 'OK'
    if (message.type === 'cancel') this.#cancelled.add(op)
    if (message.type !== 'write' || this.#cancelled.has(op)) return 'CANCELLED'
    const first = message.offset / BLOCK
    const last = first + message.payload.length / BLOCK - 1
    for (const other of this.#applied.values()) {
      const overlaps = other.first <= last && first <= other.last
      assert.ok(!overlaps || other.op < op, `operation ${op} landed on top of its successor ${other.op}`)
    }
    this.#applied.set(op, { op, first, last })
    const stamp = this.#stampOf(first, last, message.payload[0] ?? 0)
    this.#appliedStamps.add(stamp)
    this.#stamps.fill(stamp, first, last + 1)
    return 'OK'
  }

  /** The newest write of exactly this range and fill: stamps of one fill are 251 apart. */
  #stampOf(first: number, last: number, fill: number): number {
    for (let stamp = this.#stamp; stamp > 0; stamp--) {
      const write = this.#writes.get(stamp)
      if (stamp % 251 === fill && write?.first === first && write.last === last) return stamp
    }
    throw new Error('a write was sent that nobody called')
  }

  #deliver(): void {
    const next = this.#answers.shift()
    if (next === undefined) return
    const { link, message, code } = next
    if (message.type === 'read' && code === 'OK') {
      const first = message.offset / BLOCK
      const parts = Array.from({ length: message.length / BLOCK }, (_, i) => {
        const bytes = new Uint8Array(BLOCK)
        new DataView(bytes.buffer).setUint32(0, this.#stamps[first + i] ?? 0)
        return { length: BLOCK, checksum: 0, bytes }
      })
      this.script.receive(link, { type: 'read-done', request: message.request, parts })
    } else this.script.answer({ link, message }, code)
  }

  #breakLink(): void {
    const store = this.#pick(2) === 0 ? STORE_A : STORE_B
    const link = this.#links.get(store)
    if (link === undefined) return
    this.#links.delete(store)
    // Part of what was on its way is lost; the rest is read by the node, some time later.
    for (const { link: on, message } of this.#requests) if (on === link && this.#pick(2) === 0) this.#late.push(message)
    this.#requests = this.#requests.filter((request) => request.link !== link)
    this.#answers = this.#answers.filter((answer) => answer.link !== link)
    this.script.linkDown(link)
  }

  #relink(): void {
    for (const store of [STORE_A, STORE_B]) {
      if (this.#links.has(store)) continue
      const link = this.script.linkUp(store)
      this.#links.set(store, link)
      this.script.sendMap(link)
      return
    }
  }

  #movePrimary(): void {
    this.#primary = this.#primary === STORE_A ? STORE_B : STORE_A
    this.#epoch++
    this.script.move(0, this.#primary)
    const link = this.#links.get(this.#pick(2) === 0 ? STORE_A : STORE_B)
    if (link !== undefined && this.#pick(2) === 0) this.script.sendMap(link)
  }

  #abandon(): void {
    const tokens = [...this.#pending.keys()]
    const token = tokens[this.#pick(tokens.length)]
    if (token !== undefined) this.script.input({ type: 'abandon', token })
  }

  /** Puts what the machine sent on its way, closes what it closed, and checks what it settled. */
  #collect(): void {
    for (const { link, message } of this.script.sent.slice(this.#seen)) {
      if (message.type === 'get-map') {
        if ([...this.#links.values()].includes(link)) this.script.sendMap(link)
      } else if ([...this.#links.values()].includes(link))
        this.#requests.push({ link, message: message as ClientRequest })
    }
    this.#seen = this.script.sent.length
    for (const link of this.script.closed.splice(0)) {
      for (const [store, open] of this.#links) if (open === link) this.#links.delete(store)
      this.#requests = this.#requests.filter((request) => request.link !== link)
      this.#answers = this.#answers.filter((answer) => answer.link !== link)
      this.script.linkDown(link)
    }
    for (const [token, pending] of this.#pending) if (this.script.isSettled(token)) this.#check(token, pending)
  }

  #check(token: CallToken, pending: Pending): void {
    this.#pending.delete(token)
    const outcome = this.script.outcome(token)
    if (pending.kind === 'write') {
      const applied = this.#appliedStamps.has(pending.stamp)
      if (outcome.ok) {
        assert.ok(applied, 'a write that succeeded was applied')
        for (let block = pending.first; block <= pending.last; block++)
          this.#succeeded[block] = Math.max(this.#succeeded[block] ?? 0, pending.stamp)
      } else {
        assert.ok(['TIMEOUT', 'ABORTED', 'NO_SPACE'].includes(outcome.failure.code), outcome.failure.code)
        if (outcome.failure.details?.['indeterminate'] !== true) {
          assert.equal(applied, false, 'a write that failed for certain was not applied')
          this.#certainlyNot.add(pending.stamp)
        }
      }
    } else if (outcome.ok && outcome.result.kind === 'bytes') {
      const { bytes } = outcome.result
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      for (const [index, floor] of pending.floor.entries())
        assert.ok(view.getUint32(index * BLOCK) >= floor, 'a read sees what succeeded before it was called')
    }
    for (const stamp of this.#certainlyNot) assert.equal(this.#appliedStamps.has(stamp), false)
  }
}

test(`whatever the network and the callers do, the client keeps its promises (${SEEDS} seeds from ${FIRST_SEED})`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      new Chaos(seed).run()
    } catch (error) {
      throw new Error(`seed ${seed} (ASHLAR_CHAOS_FIRST_SEED=${seed} ASHLAR_CHAOS_SEEDS=1)`, { cause: error })
    }
  }
})
