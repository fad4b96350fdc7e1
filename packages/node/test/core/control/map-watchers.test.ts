import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClusterId, MapCopy } from '@ashlar/proto'
import { MapWatchers } from '../../../src/core/control/index.ts'
import type { Context, Effect } from '../../../src/core/machine.ts'

/** A map at a revision, watchers of it, and what they are told. */
function watched() {
  const map = new MapCopy()
  const watchers = new MapWatchers()
  const effects: Effect[] = []
  const ctx: Context = {
    now: 0,
    emit: (effect) => effects.push(effect),
    token: () => 1,
    random: () => 0,
    event: () => {},
  }
  const moveTo = (to: number) => {
    const records = { nodes: [], volumes: [], extents: [], removedVolumes: [] }
    const cluster = 'c' as ClusterId
    map.apply({ cluster, clusterGeneration: 0, from: map.revision, to, voters: [], ...records })
  }
  /** Ends a step: link, first and last revision of what each was told in it. */
  const told = () => {
    watchers.push(ctx, map)
    return effects.splice(0).map((effect) => {
      assert.ok(effect.type === 'send' && effect.message.type === 'map-update')
      return [effect.link, effect.message.delta.from, effect.message.delta.to]
    })
  }
  return { map, watchers, ctx, moveTo, told }
}

test('each watcher gets each change once, also one that begins when the others are up to date', () => {
  const { watchers, moveTo, told } = watched()
  moveTo(5)
  watchers.watch(1, 4)
  assert.deepEqual(told(), [[1, 4, 5]])
  assert.deepEqual(told(), [], 'nothing changed')
  watchers.watch(2, 3)
  assert.deepEqual(told(), [[2, 3, 5]])
  moveTo(6)
  assert.deepEqual(told(), [
    [1, 5, 6],
    [2, 5, 6],
  ])
})

test('a watcher without a map gets it once there is one, and a repeated request at the same revision is answered', () => {
  const { map, watchers, ctx, moveTo, told } = watched()
  watchers.ask(ctx, map, 1, 0, false)
  assert.deepEqual(told(), [])
  moveTo(5)
  assert.deepEqual(told(), [[1, 0, 5]])
  watchers.ask(ctx, map, 2, 2, true)
  assert.deepEqual(told(), [[2, 2, 5]])
})
