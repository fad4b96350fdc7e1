import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Seq, StoreId } from '@ashlar/proto'
import { CatchUp } from '../../../src/core/replication/catch-up.ts'
import type { OutStream } from '../../../src/core/replication/stream.ts'

const [B, C] = ['b', 'c'] as string[] as [StoreId, StoreId]

/** Looks every 50 ms at streams that lag by so many of ten commits in 50 ms; gives when which store was to close in. */
function watch(lags: ReadonlyMap<StoreId, number>, untilMs: number): [StoreId, number] | undefined {
  const closing = new CatchUp()
  for (let now = 0; now <= untilMs; now += 50) {
    const commitSeq = 10_000 + now / 5
    const streams = [...lags].map(([store, lag]) => ({ store, ackedSeq: commitSeq - lag }) as unknown as OutStream)
    closing.look(now, streams, commitSeq as Seq)
    if (closing.store !== undefined) return [closing.store, now]
  }
  return undefined
}

test('amendment 37: a replica that lags by less than a second and never catches up has to acknowledge after that second', () => {
  assert.deepEqual(watch(new Map([[B, 20]]), 5000), [B, 1000])
  assert.deepEqual(watch(new Map([[B, 200]]), 5000), [B, 1000])
})

test('amendment 37: a replica that lags by more is not waited for, and does not delay another', () => {
  assert.equal(watch(new Map([[B, 220]]), 20_000), undefined)
  assert.deepEqual(
    watch(
      new Map([
        [B, 220],
        [C, 20],
      ]),
      5000,
    ),
    [C, 1000],
  )
})

test('amendment 37: a store that went away starts its second again', () => {
  const closing = new CatchUp()
  const stream = { store: B, ackedSeq: 20 } as unknown as OutStream
  closing.look(0, [stream], 10 as Seq)
  closing.look(900, [], 20 as Seq)
  closing.look(950, [stream], 21 as Seq)
  closing.look(1100, [stream], 30 as Seq)
  assert.equal(closing.store, undefined)
})
