import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { longest } from '../../kit/deadline.ts'
import { type DelayOptions, type DelayReport, roundTrips } from './delay.ts'
import { requireNetworks } from './namespaces.ts'
import { runInNetwork } from './run.ts'

const PROGRAM = fileURLToPath(new URL('bin/delay.ts', import.meta.url))
const NODES = 3
const OPTIONS: DelayOptions = { oneWayMs: [0.5, 10], turns: 8, operations: 13, turnMs: 0 }

test('a write of one block takes two round trips and one sync of each node, a read one round trip', {
  timeout: longest(120_000),
}, async (t) => {
  if (!requireNetworks(t)) return
  const started = { program: PROGRAM, options: OPTIONS, nodes: NODES }
  const { points, batches } = await runInNetwork<DelayOptions, DelayReport>(
    started,
    () => false,
    (line) => t.diagnostic(line),
    t.signal,
  )
  const [near, far] = points
  assert.ok(near !== undefined && far !== undefined)
  const writes = roundTrips(near, far, 'writes')
  const reads = roundTrips(near, far, 'reads')
  t.diagnostic(`round trips of a write: ${writes.toFixed(2)}, of a read: ${reads.toFixed(2)}`)
  // Round trips are whole: each figure must be nearer to its own than to one more or one less.
  assert.ok(writes > 1.5 && writes < 2.5, `a write takes ${writes} round trips`)
  assert.ok(reads > 0.5 && reads < 1.5, `a read takes ${reads} round trips`)
  // One batch is one sync, and no write is answered before that of every node: it waits for two that follow each other at
  // most, the primary's and the slowest replica's. A store that learns a record meanwhile syncs that, too; two for each write
  // would be twice as many.
  const count = near.writes.flat().length + far.writes.flat().length
  assert.ok(count >= 2 * OPTIONS.turns * OPTIONS.operations, `${count} writes`)
  assert.deepEqual(Object.keys(batches), ['n1', 'n2', 'n3'])
  for (const [node, synced] of Object.entries(batches))
    assert.ok(synced > 0.5 * count && synced < 1.5 * count, `${node} synced ${synced} batches for ${count} writes`)
})
