import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClusterId, MapCopy } from '@ashlar/proto'
import { MapWatchers } from '../../../src/core/control/index.ts'
import type { Context, Effect } from '../../../src/core/machine.ts'

/** A map at a revision, watchers of it, and the changes that they get. */
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
  /** Ends a step: link, first and last revision of the changes that each watcher got in it. */
  const changes = () => {
    watchers.push(ctx, map)
    return effects.splice(0).map((effect) => {
      assert.ok(effect.type === 'send' && effect.message.type === 'map-update')
      return [effect.link, effect.message.delta.from, effect.message.delta.to]
    })
  }
  return { map, watchers, ctx, moveTo, changes }
}

test('each watcher gets each change once, also one that begins when the others are up to date', () => {
  const { watchers, moveTo, changes } = watched()
  moveTo(5)
  watchers.watch(1, 4)
  assert.deepEqual(changes(), [[1, 4, 5]])
  assert.deepEqual(changes(), [], 'nothing changed')
  watchers.watch(2, 3)
  assert.deepEqual(changes(), [[2, 3, 5]])
  moveTo(6)
  assert.deepEqual(changes(), [
    [1, 5, 6],
    [2, 5, 6],
  ])
})

test('a watcher without a map gets it once there is one, and a repeated request at the same revision is answered', () => {
  const { map, watchers, ctx, moveTo, changes } = watched()
  watchers.ask(ctx, map, 1, 0, false)
  assert.deepEqual(changes(), [])
  moveTo(5)
  assert.deepEqual(changes(), [[1, 0, 5]])
  watchers.ask(ctx, map, 2, 2, true)
  assert.deepEqual(changes(), [[2, 2, 5]])
})
