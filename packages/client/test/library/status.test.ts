import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type StatusEvent, StatusFeed } from '../../src/status.ts'

function waiting(volume: string): StatusEvent {
  return { what: 'removed', volume, handle: 1 } as StatusEvent
}

async function volumesOf(events: AsyncIterable<StatusEvent>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const seen: string[] = []
  for await (const event of events) {
    seen.push((event as { volume: string }).volume)
    if (seen.length === count) break
  }
  return seen
}

test('every reader sees what happens after it began, in order, up to the end', async () => {
  const feed = new StatusFeed()
  feed.publish(waiting('before'))
  const [early, late] = [feed.subscribe(), feed.subscribe()]
  const reading = volumesOf(early)
  feed.publish(waiting('a'))
  await Promise.resolve()
  feed.publish(waiting('b'))
  feed.end()
  assert.deepEqual(await reading, ['a', 'b'])
  assert.deepEqual(await volumesOf(late), ['a', 'b'])
  assert.deepEqual(await volumesOf(feed.subscribe()), [])
})

test('a reader that is far behind misses the oldest events, not the newest', async () => {
  const feed = new StatusFeed()
  const events = feed.subscribe()
  for (let number = 0; number < 2000; number++) feed.publish(waiting(`${number}`))
  feed.end()
  const seen = await volumesOf(events)
  assert.deepEqual([seen.length, seen[0], seen.at(-1)], [1024, '976', '1999'])
})

test('a reader that leaves is done at once, also one that waits, and holds no events', async () => {
  const feed = new StatusFeed()
  const iterator = feed.subscribe()[Symbol.asyncIterator]()
  const next = iterator.next()
  await iterator.return?.()
  assert.equal((await next).done, true)
  feed.publish(waiting('a'))
  assert.equal((await iterator.next()).done, true)
  const left = feed.subscribe()
  feed.publish(waiting('b'))
  feed.publish(waiting('c'))
  assert.deepEqual(await volumesOf(left, 1), ['b'])
  assert.deepEqual(await volumesOf(left), [])
})
