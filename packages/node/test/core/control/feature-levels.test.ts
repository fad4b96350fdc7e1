import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ERRORS, FEATURE_LEVEL, leaseExpiryMs, type Voter } from '@ashlar/proto'
import { commandLevel, knownToAll, tooEarly } from '../../../src/core/control/commands/feature-levels.ts'
import { applyCommand, MapState, rebuildMap, recoverCommands } from '../../../src/core/control/index.ts'
import type { Command } from '../../../src/core/control/log/log-entry.ts'
import type { Effect } from '../../../src/core/machine.ts'
import { address, found, only, Reducer, store } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'
import { everything, throughSnapshot } from './through-snapshot.ts'

const RAISE: Command = { do: 'raise-feature-level', level: 1 }

describe('the feature level of the map', () => {
  it('is 0 until an entry raises it, is part of the next delta and never falls', () => {
    const { state, apply } = reducerOf(3)
    const before = state.revision
    assert.equal(state.featureLevel, 0)
    assert.equal(state.deltaSince(0).featureLevel, undefined)
    assert.equal(apply(RAISE), 'OK')
    assert.deepEqual([state.featureLevel, state.revision], [1, before + 1])
    assert.equal(state.deltaSince(before).featureLevel, 1)
    assert.equal(apply({ do: 'raise-feature-level', level: 0 }), 'OK')
    assert.deepEqual([state.featureLevel, state.revision], [1, before + 1])
  })

  it('is part of a snapshot; a snapshot without it has level 0', () => {
    const { state, apply } = reducerOf(3)
    const old = state.rows()[0]?.values[0]
    assert.ok(!Object.hasOwn(old as object, 'featureLevel'), 'an older build reads what it wrote itself')
    assert.equal(throughSnapshot(state).featureLevel, 0)
    apply(RAISE)
    assert.deepEqual(everything(throughSnapshot(state)), everything(state))
    assert.equal(throughSnapshot(state).featureLevel, 1)
  })

  it('refuses nodes that do not support it, with their name and a hint', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.apply(RAISE)
    const refusal = reducer.register(4)
    assert.equal(refusal.code, 'CONFLICT')
    assert.equal(refusal.message, 'this cluster uses feature level 1, and node n4 knows 0: upgrade node n4')
    assert.match(refusal.hint, /start the version of the other nodes/)
    assert.equal(reducer.register(2, { counter: 2 }).code, 'CONFLICT')
    assert.equal(reducer.register(4, { level: 1 }).code, 'OK')
  })

  it('is restored by the first entries of a rebuilt map', () => {
    const survivor = (n: number, featureLevel: number) => ({
      ...{ store: store(n), startCounter: 1, featureLevel },
      ...{ voters: [], replicas: [], volumes: [] },
    })
    const state = new MapState()
    const commands = recoverCommands(rebuildMap([survivor(1, 0), survivor(2, 1)]))
    for (const command of [found(), ...commands]) assert.equal(applyCommand(state, command).code, 'OK')
    assert.equal(state.featureLevel, 1)
  })
})

describe('a command that older reducers do not know', () => {
  it('is refused until every node supports it', () => {
    const { state, apply } = reducerOf(3)
    assert.equal(commandLevel(RAISE), 1)
    assert.equal(tooEarly(state, RAISE), undefined)
    assert.equal(tooEarly(state, { do: 'begin-term' }), undefined)
    apply(RAISE)
    assert.equal(tooEarly(state, RAISE), undefined)
  })
})

describe('nodes that hold back the feature level', () => {
  const members = (voters: number[], learners: number[] = []) => {
    const voter = (n: number): Voter => ({ store: store(n), address: address(n) })
    return { voters: voters.map(voter), learners: learners.map(voter) }
  }
  const all =
    (level: number | undefined, counter = 1) =>
    () => ({ counter, level })

  it('none, once every node of the map and every member of the log reported it', () => {
    const { state } = reducerOf(3)
    assert.deepEqual(knownToAll(state, members([1]), all(1), 1), { level: 1, waitsFor: [] })
  })

  it('a node that reported less, that reported nothing in this incarnation, or that is down', () => {
    const { state } = reducerOf(3)
    for (const report of [
      { counter: 1, level: 0 },
      { counter: 7, level: 1 },
      { counter: 1, level: undefined },
      undefined,
    ]) {
      const heard = (of: string) => (of === store(3) ? report : { counter: 1, level: 1 })
      const level = report?.counter === 1 ? report.level : undefined
      assert.deepEqual(knownToAll(state, members([1]), heard, 1), { level: 0, waitsFor: [{ store: store(3), level }] })
    }
  })

  it('a voter and a learner that never registered', () => {
    const { state } = reducerOf(3)
    assert.equal(knownToAll(state, members([1, 4]), all(1), 1).level, 0)
    assert.equal(knownToAll(state, members([1], [4]), all(1), 1).level, 0)
  })

  it('a cluster without a node, but not a removed store', () => {
    const { state } = reducerOf(3)
    assert.equal(knownToAll(new MapState(), members([]), all(1), 1).level, 0)
    const heard = (of: string) => (of === store(3) ? undefined : { counter: 1, level: 1 })
    assert.equal(knownToAll(state, members([1]), heard, 1).level, 0)
    state.putGone(store(3))
    assert.equal(knownToAll(state, members([1]), heard, 1).level, 1)
  })
})

describe('the leader and the feature level', () => {
  it('raises it by one entry once the last node reported support', () => {
    const rig = new LeaderRig()
    for (const n of [1, 2, 3]) rig.register(n, { level: 1 })
    rig.passTold(500, { 1: 1, 2: 1 })
    assert.deepEqual(raises(rig), [], 'a node without a report is awaited')
    rig.passTold(2000, { 1: 1, 2: 1, 3: 0 })
    assert.deepEqual(raises(rig), [])
    rig.passTold(4000, { 1: 1, 2: 1, 3: 1 })
    assert.deepEqual(raises(rig), [1])
    assert.equal(rig.leader.state.featureLevel, FEATURE_LEVEL)
  })

  it('waits for a down node until it reports support or is removed', () => {
    const rig = new LeaderRig()
    for (const n of [1, 2, 3]) rig.register(n, { level: 1 })
    const events = rig.passTold(leaseExpiryMs() + 3000, { 1: 1, 2: 1 })
    assert.equal(rig.state(3), 'down')
    assert.deepEqual(raises(rig), [])
    assert.deepEqual(waits(events), ['n3 (down)'], 'said once')
    rig.admin(1, { do: 'lose-store', store: store(3) })
    rig.passTold(2000, { 1: 1, 2: 1 })
    assert.deepEqual(raises(rig), [1])
  })

  it('ignores reports of an earlier incarnation, since the node may be downgraded', () => {
    const rig = new LeaderRig()
    for (const n of [1, 2]) rig.register(n, { level: 1 })
    rig.renew(1, { level: 1 })
    rig.register(1, { counter: 2 })
    rig.passTold(500, { 2: 1 })
    assert.deepEqual(raises(rig), [])
    rig.passTold(2000, { 1: 0, 2: 1 })
    assert.deepEqual(raises(rig), [])
  })

  it('does not raise it while a registration is pending', () => {
    const rig = new LeaderRig()
    rig.register(1, { level: 1 })
    rig.diskWorks = false
    rig.register(2)
    rig.passTold(2000, { 1: 1 })
    rig.diskWorks = true
    rig.flushLog()
    rig.passTold(500, { 1: 1 })
    assert.deepEqual(raises(rig), [])
  })

  it('requests reports again after it was elected, and raises the level only if it is higher', () => {
    const rig = new LeaderRig()
    for (const n of [1, 2]) rig.register(n, { level: 1 })
    rig.passTold(2000, { 1: 1, 2: 1 })
    rig.restart()
    rig.passTold(2000, { 1: 1, 2: 1 })
    assert.deepEqual(raises(rig), [1])
  })

  it('refuses a node of a lower level by name', () => {
    const rig = new LeaderRig()
    rig.register(1, { level: 1 })
    rig.passTold(2000, { 1: 1 })
    const answer = only(rig.register(2), 'registered')
    assert.equal(answer.code, ERRORS.CONFLICT.number)
    assert.match(answer.message, /this cluster uses feature level 1, and node n2 knows 0: upgrade node n2/)
  })
})

function reducerOf(stores: number) {
  const reducer = new Reducer().bootstrapped(stores)
  return { state: reducer.state, apply: (command: Command) => reducer.apply(command).code }
}

/** Levels that entries of the log raise to. */
function raises({ disk }: LeaderRig): number[] {
  return disk.flatMap(({ command }) => (command.do === 'raise-feature-level' ? [command.level] : []))
}

function waits(effects: readonly Effect[]): unknown[] {
  return effects.flatMap((effect) =>
    effect.type === 'event' && effect.event.what === 'feature-level-waits' ? [effect.event['waitsFor']] : [],
  )
}
