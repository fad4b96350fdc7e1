import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ExtentId,
  type ExtentRecord,
  LIMITS,
  MapCopy,
  type NodeName,
  type SessionId,
  type StoreId,
  type VolumeId,
  volumeOf,
} from '@ashlar/proto'
import fc from 'fast-check'
import { CommandRun } from '../../../src/core/control/commands/command-run.ts'
import { applyCommand, MapState } from '../../../src/core/control/index.ts'
import type { Command } from '../../../src/core/control/log/log-entry.ts'
import { address, assertInvariants, contents, found, incarnation, store } from './kit.ts'
import { everything, throughSnapshot } from './through-snapshot.ts'

const STORES = 6

/** A command in the making: numbers that are turned into a command against the map as it is then. */
interface Draft {
  readonly what: number
  readonly a: number
  readonly b: number
  readonly c: number
  readonly live: readonly boolean[]
}

const draft: fc.Arbitrary<Draft> = fc.record({
  what: fc.nat(117),
  a: fc.nat(1000),
  b: fc.nat(1000),
  c: fc.nat(1000),
  live: fc.array(fc.boolean(), { minLength: STORES, maxLength: STORES }),
})

function pick<T>(items: readonly T[], n: number): T | undefined {
  return items[n % Math.max(1, items.length)]
}

/** Most drafts become commands that make sense, so that states far from the start are reached; some do not. */
function commandOf(state: MapState, { what, a, b, c, live: alive }: Draft): Command {
  const live = alive.flatMap((is, at) => (is ? [store(at + 1)] : []))
  const n = (a % STORES) + 1
  const node = state.nodes.get(store(n))
  const counter = node?.incarnation.counter ?? 0
  const record = pick<ExtentRecord>([...state.extents.values()], b)
  if (what < 25)
    return {
      do: 'register',
      store: store(n),
      name: `n${b % 7 === 0 ? (c % STORES) + 1 : n}` as NodeName,
      address: address(c % 9 === 0 ? (b % STORES) + 1 : n),
      api: '',
      incarnation: incarnation(counter + (b % 3)),
      trust: c % 4 === 0 ? 'suspect' : 'trusted',
      live,
    }
  if (what < 40)
    return { do: 'expire', stores: [n, (b % STORES) + 1].map((it) => ({ store: store(it), counter })), live }
  if (what < 70 && record !== undefined)
    return {
      do: 'change-sets',
      store: record.primary.store,
      counter: record.primary.counter,
      changes: [
        {
          extent: record.id,
          revision: record.revision - (c % 10 === 0 ? 1 : 0),
          epoch: record.epoch,
          inSync: record.assigned.filter((it, at) => it === record.primary.store || ((c >> at) & 1) === 1),
        },
      ],
    }
  if (what < 76 && record !== undefined)
    return {
      do: 'release',
      store: record.primary.store,
      counter: record.primary.counter,
      extents: [{ extent: record.id, epoch: record.epoch }],
      reason: (['shutdown', 'slow', 'behind', 'poisoned'] as const)[c % 4] ?? 'slow',
      live,
    }
  if (what < 82)
    return {
      do: 'promote',
      extents: [...state.extents.values()].map(({ id, revision }) => ({ extent: id, revision })),
      live,
    }
  if (what < 90)
    return {
      do: 'create-volume',
      name: `v${a % 4}`,
      sizeBytes: ((b % 3) + 1) * LIMITS.minExtentBytes,
      blockSizeBytes: 4096,
      extentSizeBytes: LIMITS.minExtentBytes,
      replicas: (c % 4) + 1,
      minInSync: (b % ((c % 4) + 1)) + 1,
      live,
    }
  if (what < 93) return { do: 'remove-volume', name: `v${a % 4}` }
  if (what < 97)
    return {
      do: 'attach',
      name: `v${a % 4}`,
      holder: { session: ((b % 9) + 1) as SessionId, mode: c % 2 === 0 ? 'exclusive' : 'shared', client: 'c' },
      ifFree: c % 3 === 0,
    }
  if (what < 106) return { do: 'lose-store', store: store(n), live }
  if (what < 111 && record !== undefined) {
    const target = record.assigned[c % record.assigned.length] ?? store(n)
    return { do: 'force-primary', extent: record.id, store: target, live }
  }
  if (what > 112) return { do: 'clear-suspicion', store: store(n), counter: counter - (c % 5 === 0 ? 1 : 0), live }
  if (what === 111) return { do: 'acknowledge-loss', name: `v${a % 4}` }
  return { do: 'detach', volume: ((a % 4) + 1) as VolumeId, session: ((b % 9) + 1) as SessionId }
}

/** What control may do without a person who accepts a loss (A3-28). */
function unforced(state: MapState, it: Draft): Command {
  const command = commandOf(state, it)
  return command.do === 'force-primary' ? { do: 'lose-store', store: command.store, live: command.live } : command
}

function begin(): { state: MapState; log: Command[] } {
  const state = new MapState()
  const log: Command[] = [found()]
  for (let n = 1; n <= STORES; n++)
    log.push({
      do: 'register',
      store: store(n),
      name: `n${n}` as NodeName,
      address: address(n),
      api: '',
      incarnation: incarnation(1),
      trust: 'trusted',
      live: [],
    })
  log.push({
    do: 'create-volume',
    name: 'v0',
    sizeBytes: 3 * LIMITS.minExtentBytes,
    blockSizeBytes: 4096,
    extentSizeBytes: LIMITS.minExtentBytes,
    replicas: 3,
    minInSync: 2,
    live: Array.from({ length: STORES }, (_, at) => store(at + 1)),
  })
  for (const command of log) applyCommand(state, command)
  return { state, log }
}

/** Epochs, generations and revisions only rise; who leads changes only with a higher epoch. */
function assertRises(before: ReturnType<typeof contents>, state: MapState): void {
  assert.ok(state.revision >= before.revision, 'map revisions only rise')
  for (const old of before.extents) {
    const now = state.extents.get(old.id)
    if (now === undefined) continue
    assert.ok(now.revision >= old.revision, 'extent revisions only rise')
    assert.ok(now.epoch >= old.epoch, 'epochs only rise')
    if (now.epoch === old.epoch) assert.deepEqual(now.primary, old.primary, 'one epoch has one primary')
    else assert.ok(now.epoch === old.epoch + 1, 'one command names one primary')
    if (now !== old) assert.ok(now.revision > old.revision, 'every change of a record has its own revision')
  }
  for (const old of before.volumes) {
    const now = state.volumes.get(old.id)
    if (now !== undefined) assert.ok(now.generation >= old.generation, 'generations only rise')
  }
}

describe('random commands', () => {
  it('keep every invariant of the map; revisions, epochs and generations never fall', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 150, size: 'max' }), (drafts) => {
        const { state } = begin()
        for (const it of drafts) {
          const before = contents(state)
          const result = applyCommand(state, commandOf(state, it))
          if (result.code !== 'OK') assert.equal(state.revision, before.revision, 'a refused command changes nothing')
          assertInvariants(state)
          assertRises(before, state)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('give the same map when they are replayed, and by deltas of any split', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 80, size: 'max' }), fc.infiniteStream(fc.boolean()), (drafts, flips) => {
        const { state, log } = begin()
        const copy = new MapCopy()
        for (const it of drafts) {
          const command = commandOf(state, it)
          log.push(command)
          applyCommand(state, command)
          if (flips.next().value) copy.apply(state.deltaSince(copy.revision))
        }
        copy.apply(state.deltaSince(copy.revision))
        assert.deepEqual(contents(copy), contents(state))
        const whole = new MapCopy()
        whole.apply(state.deltaSince(0))
        assert.deepEqual(contents(whole), contents(state))
        const again = new MapState()
        for (const command of log) applyCommand(again, command)
        assert.deepEqual(contents(again), contents(state))
        assert.deepEqual([...again.successors], [...state.successors])
        const inPieces = new MapState()
        for (const [place, command] of log.entries()) {
          const run = new CommandRun(inPieces, command)
          for (let over = false; !over; ) over = run.continue(1 + (place % 3)).result !== undefined
        }
        assert.deepEqual(everything(inPieces), everything(again))
      }),
      { numRuns: 100 },
    )
  })

  it('give the same map when a snapshot replaces those before any of them', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 80, size: 'max' }), fc.nat(80), (drafts, at) => {
        const { state } = begin()
        let restored: MapState | undefined
        for (const [place, it] of drafts.entries()) {
          if (place === at % drafts.length) restored = throughSnapshot(state)
          const command = commandOf(state, it)
          const result = applyCommand(state, command)
          if (restored !== undefined) assert.deepEqual(applyCommand(restored, command), result)
        }
        restored ??= throughSnapshot(state)
        assert.deepEqual(everything(restored), everything(state))
        for (let n = 1; n <= STORES; n++) {
          assert.deepEqual(restored.ledBy(store(n)), state.ledBy(store(n)))
          assert.deepEqual(restored.assignedTo(store(n)), state.assignedTo(store(n)))
        }
        assert.deepEqual(restored.deltaSince(0), state.deltaSince(0))
      }),
      { numRuns: 100 },
    )
  })

  it('never replace a primary without a reason (amendment 3)', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 150, size: 'max' }), (drafts) => {
        const { state } = begin()
        for (const it of drafts) {
          const before = contents(state)
          const nodes = new Map(before.nodes.map((node) => [node.store, node]))
          const command = unforced(state, it)
          applyCommand(state, command)
          for (const old of before.extents) {
            const now = state.extents.get(old.id)
            if (now === undefined || now.epoch === old.epoch) continue
            const node = nodes.get(old.primary.store)
            const leaseOver = node?.state === 'down' || node?.incarnation.counter !== old.primary.counter
            const said = command.do === 'release' || (command.do === 'register' && command.store === old.primary.store)
            const expired = command.do === 'expire' && command.stores.some((gone) => gone.store === old.primary.store)
            const absent = command.do === 'register' && !command.live.includes(old.primary.store)
            assert.ok(leaseOver || said || expired || absent, `${command.do} replaced a primary that may serve`)
            const successor = state.nodes.get(now.primary.store)
            const mark = state.forced.get(now.id)
            if (mark?.epoch === now.epoch && mark.merged === true) {
              const trusted = [...old.inSync, ...old.eligible].filter((it) => state.nodes.get(it)?.trust === 'trusted')
              assert.ok(
                trusted.every((it) => state.gone.has(it)),
                'reconciled while a store is trusted',
              )
            } else if (now.primary.store !== old.primary.store && 'live' in command && command.do !== 'register')
              assert.ok(successor?.trust === 'trusted', 'a suspect store never becomes primary (amendment 11)')
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  it('keep every acknowledged write on each store that counts (CTL-2, CTL-5, amendments 1 and 2)', () => {
    fc.assert(
      fc.property(fc.array(draft, { maxLength: 150, size: 'max' }), (drafts) => {
        const { state } = begin()
        const writes = new Writes()
        for (const it of drafts) {
          const before = new Map(state.extents)
          applyCommand(state, unforced(state, it))
          for (const record of state.extents.values()) {
            const volume = state.volumes.get(volumeOf(record.id))
            writes.join(record, before.get(record.id))
            writes.assertHeld(record)
            // As seldom acknowledged as possible, and only by required stores, so that no other store has it by chance.
            if (record.inSync.length >= (volume?.minInSync ?? 0) && it.c % 3 === 0) writes.acknowledge(record)
          }
        }
      }),
      { numRuns: 150 },
    )
  })
})

/** Which store holds which acknowledged write of which extent, as little as the protocol promises. */
class Writes {
  readonly #last = new Map<ExtentId, number>()
  readonly #held = new Map<string, number>()

  /** Amendment 1: an operation is acknowledged when every member in sync has it, and they are at least minInSync. */
  acknowledge(record: ExtentRecord): void {
    const write = (this.#last.get(record.id) ?? 0) + 1
    this.#last.set(record.id, write)
    for (const member of record.inSync) this.#held.set(key(record.id, member), write)
  }

  /** A store joins with what the primary has; all that an older copy held beyond it is rolled back. */
  join(record: ExtentRecord, before: ExtentRecord | undefined): void {
    if (before === undefined || before.epoch !== record.epoch) return
    const held = this.#heldBy(record, record.primary.store)
    for (const member of record.inSync)
      if (!before.inSync.includes(member)) this.#held.set(key(record.id, member), held)
  }

  assertHeld(record: ExtentRecord): void {
    const last = this.#last.get(record.id) ?? 0
    for (const member of [...record.inSync, ...record.eligible])
      assert.equal(this.#heldBy(record, member), last, `${member} holds the last write of ${JSON.stringify(record)}`)
  }

  #heldBy(record: ExtentRecord, store: StoreId): number {
    return this.#held.get(key(record.id, store)) ?? 0
  }
}

function key(extent: ExtentId, member: StoreId): string {
  return `${extent}/${member}`
}
