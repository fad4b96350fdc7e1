import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Input, LogEntry } from '@ashlar/node/core'
import type { Epoch, ExtentId, Message, Seq, StoreId } from '@ashlar/proto'
import { Chance } from './world/chance.ts'
import type { Endpoint, Hello } from './world/connection.ts'
import { Disk, type DiskEffect, OpenStore } from './world/disk.ts'
import { Network, type NetworkFaults } from './world/network.ts'
import { Clock } from './world/time.ts'

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1)

describe('the clock', () => {
  it('runs events by moment, and those of one moment in the order in which they were asked for', () => {
    const clock = new Clock()
    const seen: string[] = []
    clock.after(5, () => seen.push('c'))
    clock.after(1, () => {
      seen.push('a')
      clock.after(0, () => seen.push('b'))
    })
    clock.after(5, () => seen.push('d'))
    while (clock.step());
    assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
    assert.equal(clock.now, 5)
  })
})

const ROUGH: NetworkFaults = { delayMs: 10, tailPerFrame: 0.2, tailMs: 400, lossPerFrame: 0.005, encoded: true }

describe('the network', () => {
  it('delivers in order, without a gap, and nothing after the end of a connection', () => {
    let broken = 0
    let arrived = 0
    for (const seed of SEEDS) {
      const clock = new Clock()
      const chance = new Chance(seed)
      const network = new Network(clock, chance.fork(), ROUGH)
      network.setCalm(false)
      const [a, b] = [new Peer('a'), new Peer('b')]
      network.listen('b', () => b)
      network.setDialed(a, ['b'])
      for (let step = 1; step <= 1200; step++) {
        clock.after(step * 10, () => {
          if (step % 60 === 0) network.setCuts([{ side: new Set(['a']), oneWay: chance.happens(0.5) }])
          if (step % 60 === 20) network.setCuts([])
          if (a.link !== undefined) network.send(a, a.link, { ...PUSH, push: ++a.sent })
          network.flush()
        })
      }
      while (clock.now < 60_000 && clock.step());
      broken += a.connections - 1
      arrived += b.received.length
      for (const [index, { link, push }] of b.received.entries()) {
        const before = b.received[index - 1]
        if (before?.link === link) assert.equal(push, before.push + 1, `seed ${seed}: a gap on connection ${link}`)
      }
      assert.deepEqual(b.strays, [], `seed ${seed}: frames after the end of their connection`)
    }
    assert.ok(broken > 40, `only ${broken} connections broke`)
    assert.ok(arrived > 2000, `only ${arrived} frames arrived`)
  })

  it('lets a peer of a host without power wait, and then tells it', () => {
    const clock = new Clock()
    const network = new Network(clock, new Chance(1), ROUGH)
    const [a, b] = [new Peer('a'), new Peer('b')]
    network.listen('b', () => b)
    network.setDialed(a, ['b'])
    while (a.link === undefined) clock.step()
    network.setDialed(a, ['b'])
    b.dead = true
    network.processEnded(b, true)
    const lostAt = clock.now
    while (a.link !== undefined) assert.ok(clock.step(), 'a was never told')
    assert.ok(clock.now - lostAt >= 1000, 'a knew at once')
  })
})

const PUSH: Extract<Message, { type: 'push' }> = {
  type: 'push',
  extent: 4096 as ExtentId,
  epoch: 1 as Epoch,
  gen: 1,
  push: 0,
  block: 0,
  versionEpoch: 1 as Epoch,
  versionSeq: 1 as Seq,
  kind: 2,
  checksum: 0,
}

/** A process that remembers what it was told. */
class Peer implements Endpoint {
  readonly host: string
  dead = false
  /** The connection that is up. */
  link: number | undefined
  connections = 0
  sent = 0
  readonly received: { link: number; push: number }[] = []
  /** Frames on a connection that is not up. */
  readonly strays: number[] = []
  private readonly up = new Set<number>()
  private links = 0

  constructor(host: string) {
    this.host = host
  }

  alive(): boolean {
    return !this.dead
  }
  run(action: () => void): void {
    if (!this.dead) action()
  }
  hello(): Hello {
    return { kind: 'client', name: this.host }
  }
  newLink(): number {
    return ++this.links
  }
  linkUp(link: number): void {
    this.link = link
    this.connections++
    this.up.add(link)
  }
  linkDown(link: number): void {
    this.up.delete(link)
    if (this.link === link) this.link = undefined
  }
  messages(link: number, messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.up.has(link)) this.strays.push(link)
      if (message.type === 'push') this.received.push({ link, push: message.push })
    }
  }
  dialFailed(): void {}
}

describe('the disk', () => {
  const extent = 4096 as ExtentId
  const create: DiskEffect = {
    type: 'create-replica',
    extent,
    blockSizeBytes: 4096,
    lengthBytes: 8 * 4096,
    volumeName: 'disk',
  }
  const write = (seq: number): DiskEffect => ({
    type: 'commit',
    token: seq,
    change: {
      extent,
      head: { lastSeq: seq as Seq },
      blocks: [
        {
          block: seq % 8,
          version: { epoch: 1 as Epoch, seq: seq as Seq, kind: 1, checksum: 0 },
          bytes: new Uint8Array(4096),
        },
      ],
    },
  })

  function opened(seed: number, batchesInFlight: number) {
    const clock = new Clock()
    const disk = new Disk('store' as StoreId)
    const inputs: Input[] = []
    const faults = { syncMs: 10, tailPerSync: 0, tailMs: 0, batchesInFlight, errorPerBatch: 0, lateReads: false }
    const store = new OpenStore(disk, {
      clock,
      chance: new Chance(seed),
      faults,
      calm: () => false,
      complete: (completed) => inputs.push(...completed),
      logDurable: () => {},
    })
    return { clock, disk, store, inputs }
  }

  it('tells that a write is durable only once it survives a crash', () => {
    for (const seed of SEEDS) {
      const { clock, disk, store, inputs } = opened(seed, 1 + (seed % 3))
      store.execute(create)
      for (let seq = 1; seq <= 20; seq++) clock.after(seq * 3, () => store.execute(write(seq)))
      const end = 20 + seed
      while (clock.now < end && clock.step());
      store.crash()
      const told = inputs.flatMap((input) => (input.type === 'committed' ? [input.token] : []))
      const lastSeq = disk.replicas.get(extent)?.head.lastSeq ?? 0
      assert.ok(lastSeq >= (told.at(-1) ?? 0), `seed ${seed}: told ${told.at(-1)}, kept ${lastSeq}`)
      while (clock.step());
      assert.equal(inputs.filter(({ type }) => type === 'committed').length, told.length, 'nothing completes after it')
    }
  })

  it('loses what it did not sync, in some crashes', () => {
    const kept = SEEDS.map((seed) => {
      const { disk, store } = opened(seed, 1)
      store.execute(create)
      store.execute(write(1))
      store.crash()
      return disk.replicas.has(extent)
    })
    assert.ok(kept.includes(true) && kept.includes(false))
  })

  it('shows a reader every write that was handed over before', () => {
    const { clock, store, inputs } = opened(1, 1)
    store.execute(create)
    store.execute(write(1))
    store.execute({ type: 'load', token: 7, extent, blocks: [1] })
    store.execute(write(9))
    while (!inputs.some(({ type }) => type === 'loaded')) assert.ok(clock.step())
    const loaded = inputs.find((input) => input.type === 'loaded')
    assert.equal(loaded?.blocks[0]?.version.seq, 1)
  })

  it('keeps the front of what raft asked for, and drops what it was told to', () => {
    const command = { do: 'begin-term' } as const
    const entries = (from: number, to: number, term: number): LogEntry[] =>
      Array.from({ length: to - from + 1 }, (_, at) => ({ index: from + at, term, command }))
    for (const seed of SEEDS) {
      const { clock, disk, store, inputs } = opened(seed, 1)
      const requests = [
        {
          token: 1,
          hardState: { term: 1, vote: undefined },
          append: { from: 1, entries: entries(1, 4, 1), restart: false },
        },
        {
          token: 2,
          hardState: { term: 2, vote: undefined },
          append: { from: 3, entries: entries(3, 5, 2), restart: false },
        },
      ]
      for (const request of requests) store.execute({ type: 'raft-persist', request })
      while (clock.now < seed && clock.step());
      store.crash()
      const done = inputs.filter(({ type }) => type === 'raft-persisted').length
      const terms = disk.log.map(({ term }) => term)
      const possible = [[], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [1, 1, 2], [1, 1, 2, 2], [1, 1, 2, 2, 2]]
      assert.ok(
        possible.some((log) => log.join() === terms.join()),
        `seed ${seed}: ${terms.join()}`,
      )
      if (done >= 1) assert.ok(terms.length >= 2 && (disk.hardState?.term ?? 0) >= 1)
      if (done === 2) assert.deepEqual(terms, [1, 1, 2, 2, 2])
    }
  })

  it('keeps the front of the control log', () => {
    for (const seed of SEEDS) {
      const { clock, disk, store, inputs } = opened(seed, 1)
      for (let index = 1; index <= 5; index++) {
        const entry: LogEntry = { index, term: 1, command: { do: 'remove-volume', name: `v${index}` } }
        store.execute({ type: 'log-append', index, entry })
      }
      while (clock.now < seed && clock.step());
      store.crash()
      const told = inputs.flatMap((input) => (input.type === 'log-appended' ? [input.index] : []))
      assert.deepEqual(
        disk.log.map(({ index }) => index),
        disk.log.map((_, at) => at + 1),
      )
      assert.ok(disk.log.length >= told.length)
    }
  })
})
