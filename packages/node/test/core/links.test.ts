import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Message, type StoreId, TIMERS, WIRE_VERSION } from '@ashlar/proto'
import { Links } from '../../src/core/links.ts'
import type { Context, Effect } from '../../src/core/machine.ts'

const PEER = 'b' as StoreId

/** Links of store a, with one to store b that was heard at moment 1000. */
function linked(urgentLane = false): Links {
  const links = new Links({ store: 'a' as StoreId, counter: 1, address: 'a:1', level: 1 })
  const peer = {
    kind: 'node',
    wire: WIRE_VERSION,
    store: PEER,
    counter: 1,
    address: 'b:1',
    level: 1,
    urgentLane,
  } as const
  links.onStep(1000)
  links.onLinkUp({ now: 1000 } as Context, { type: 'link-up', link: 1, direction: 'out', peer })
  return links
}

test('amendment 18: silence is counted from the last frame while this process runs', () => {
  const links = linked()
  for (let now = 1000; now <= 1000 + 2 * TIMERS.silentMs; now += TIMERS.tickMs) links.onStep(now)
  assert.equal(links.lastHeard(PEER), 1000)
  assert.equal(links.lastHeard('c' as StoreId), Number.NEGATIVE_INFINITY)
})

test('a store is heard while a link to it received frames within the silence limit', () => {
  const links = linked()
  assert.equal(links.hears(PEER, 1000 + TIMERS.silentMs), true)
  assert.equal(links.hears(PEER, 1001 + TIMERS.silentMs), false)
  assert.equal(links.hears('c' as StoreId, 1000), false)
  links.onReceived({ now: 2500 } as Context, 1)
  assert.equal(links.hears(PEER, 2500), true)
  links.onLinkDown(1, 2500)
  assert.equal(links.hears(PEER, 2500), false, 'at once, and not only once it is silent')
})

test('a pause of the process does not count as silence of a store', () => {
  const links = linked()
  const resumed = 1000 + 2 * TIMERS.silentMs
  links.onStep(resumed)
  assert.equal(links.lastHeard(PEER), resumed)
  links.onStep(resumed + TIMERS.tickMs)
  assert.equal(links.lastHeard(PEER), resumed, 'from here on silence counts again')
})

/** Ticks until `end`; a frame comes over link 1 whenever `hears` says so. Gives what was emitted. */
function tick(links: Links, from: number, end: number, hears: (now: number) => boolean): Effect[] {
  const effects: Effect[] = []
  for (let now = from; now <= end; now += TIMERS.tickMs) {
    const ctx = { now, emit: (effect: Effect) => effects.push(effect) } as unknown as Context
    links.onStep(now)
    if (hears(now)) links.onReceived(ctx, 1)
    links.onTick(ctx, 0)
  }
  return effects
}

test('a silent link between nodes is closed once, so that it is dialed again', () => {
  const effects = tick(linked(), 1000, 20_000, () => false)
  assert.deepEqual(
    effects.flatMap((effect) => (effect.type === 'close-link' ? [effect.link] : [])),
    [1],
  )
})

test('a link that receives pings stays', () => {
  const effects = tick(linked(), 1000, 20_000, (now) => now % TIMERS.pingMs === 0)
  assert.ok(effects.every((effect) => effect.type === 'send'))
})

test('a store is silent soon after its last connection closed, unless it reconnects', () => {
  const links = linked()
  const peer = { kind: 'node', wire: WIRE_VERSION, store: PEER, counter: 1, address: 'b:1', level: 1 } as const
  links.onLinkUp({ now: 1000 } as Context, { type: 'link-up', link: 2, direction: 'in', peer })
  links.onLinkDown(1, 1000)
  assert.equal(links.lastHeard(PEER), 1000, 'another connection is left')
  links.onLinkDown(2, 1100)
  assert.equal(links.lastFrame(PEER), 1000, 'whether a link is up changes nothing about its frames')
  const silentAt = () => links.lastHeard(PEER) + TIMERS.silentMs
  assert.equal(silentAt(), 1100 + TIMERS.unconnectedMs)
  links.onLinkUp({ now: 1150 } as Context, { type: 'link-up', link: 3, direction: 'out', peer })
  assert.equal(silentAt(), 1150 + TIMERS.silentMs)
})

test('a closing connection does not end the silence of a store', () => {
  const links = linked()
  links.onLinkDown(1, 1000 + 2 * TIMERS.silentMs)
  assert.equal(links.lastHeard(PEER), 1000)
})

test('amendment 36: bulk frames delay no ping over a link with a lane for urgent messages', () => {
  for (const [urgentLane, pings] of [
    [true, 1],
    [false, 0],
  ] as const) {
    const links = linked(urgentLane)
    const sent: Effect[] = []
    const ctx = { now: 1000 + TIMERS.pingMs, emit: (effect: Effect) => sent.push(effect) } as unknown as Context
    links.onSent(ctx, 1, { type: 'fetch-block' } as Message)
    links.onTick(ctx, 0)
    assert.equal(sent.length, pings, `with a lane: ${urgentLane}`)
    links.onSent(ctx, 1, { type: 'ping' })
    links.onTick(ctx, 0)
    assert.equal(sent.length, pings, 'something urgent does')
  }
})
