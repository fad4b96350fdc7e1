import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Effect, Input, LogEntry } from '@ashlar/node/core'
import { type Epoch, type ExtentId, type Message, type Seq, type StoreId, WIRE_VERSION } from '@ashlar/proto'
import { Chance } from './world/chance.ts'
import type { Endpoint, Hello } from './world/connection.ts'
import { Disk } from './world/disk.ts'
import { LogImage } from './world/log-image.ts'
import { Network, type NetworkFaults } from './world/network.ts'
import { type DiskEffect, OpenStore } from './world/open-store.ts'
import { Clock } from './world/time.ts'

type PersistRequest = Extract<Effect, { type: 'raft-persist' }>['request']
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

  it('lets a peer of a host without power wait, and then notifies it', () => {
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
    while (a.link !== undefined) assert.ok(clock.step(), 'a was never notified')
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

/** A process that records its inputs. */
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
    return { kind: 'client', wire: WIRE_VERSION, name: this.host }
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
      synced: () => {},
      violation: () => {},
      outOfRoom: () => {},
    })
    return { clock, disk, store, inputs }
  }

  it('reports a write as durable only once it survives a crash', () => {
    for (const seed of SEEDS) {
      const { clock, disk, store, inputs } = opened(seed, 1 + (seed % 3))
      store.execute(create)
      for (let seq = 1; seq <= 20; seq++) clock.after(seq * 3, () => store.execute(write(seq)))
      const end = 20 + seed
      while (clock.now < end && clock.step());
      store.crash()
      const durable = inputs.flatMap((input) => (input.type === 'committed' ? [input.token] : []))
      const lastSeq = disk.replicas.get(extent)?.head.lastSeq ?? 0
      assert.ok(lastSeq >= (durable.at(-1) ?? 0), `seed ${seed}: reported ${durable.at(-1)}, kept ${lastSeq}`)
      while (clock.step());
      assert.equal(
        inputs.filter(({ type }) => type === 'committed').length,
        durable.length,
        'nothing completes after it',
      )
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

  it('keeps the front of what raft requested, and drops what raft dropped', () => {
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
      const terms = disk.log.entries.map(({ term }) => term)
      const possible = [[], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [1, 1, 2], [1, 1, 2, 2], [1, 1, 2, 2, 2]]
      assert.ok(
        possible.some((log) => log.join() === terms.join()),
        `seed ${seed}: ${terms.join()}`,
      )
      if (done >= 1) assert.ok(terms.length >= 2 && (disk.log.hardState?.term ?? 0) >= 1)
      if (done === 2) assert.deepEqual(terms, [1, 1, 2, 2, 2])
    }
  })

  it('keeps a snapshot and what follows it, wherever in a request the power goes', () => {
    const command = { do: 'begin-term' } as const
    const entries = (from: number, to: number, term: number): LogEntry[] =>
      Array.from({ length: to - from + 1 }, (_, at) => ({ index: from + at, term, command }))
    const members = { voters: [], learners: [] }
    const requests = [
      { token: 1, snapshot: { index: 3, term: 1, members, state: new Uint8Array() } },
      {
        token: 2,
        hardState: { term: 4, vote: undefined },
        snapshot: { index: 9, term: 3, members, state: new Uint8Array() },
        append: { from: 10, entries: entries(10, 11, 4), restart: true },
      },
    ]
    for (const [request, mayFollow] of [
      [requests[0], [4, 5]],
      [requests[1], [10, 11]],
    ] as const) {
      for (let parts = 0; parts < 8; parts++) {
        const log = new LogImage()
        log.executeEffects({ token: 0, append: { from: 1, entries: entries(1, 5, 1), restart: false } }, () => true)
        let left = parts
        log.executeEffects(request as PersistRequest, () => left-- > 0)
        const opened = log.open().map(({ index }) => index)
        const base = log.snapshot?.index ?? 0
        assert.deepEqual(
          opened,
          opened.map((_, at) => base + 1 + at),
          `after ${parts} parts`,
        )
        const whole = base === request?.snapshot.index ? mayFollow : [1, 2, 3, 4, 5]
        assert.deepEqual(opened, whole.slice(0, opened.length), `after ${parts} parts`)
        assert.ok(log.lastIndex >= base)
      }
    }
  })

  it('drops synced records only on demand, and is suspect until it was compared', () => {
    let dropped = 0
    for (const seed of SEEDS) {
      const { clock, disk, store, inputs } = opened(seed, 1)
      store.execute(create)
      while (clock.step());
      disk.rememberWrites()
      for (let seq = 1; seq <= 7; seq++) clock.after(seq * 20, () => store.execute(write(seq)))
      while (clock.step());
      store.crash()
      assert.equal(inputs.filter(({ type }) => type === 'committed').length, 7)
      assert.ok(disk.dropWrites(new Chance(seed)), `seed ${seed}: nothing was dropped`)
      const versions = disk.replicas.get(extent)?.blocks().length ?? 0
      assert.ok(versions < 7, `seed ${seed}: all ${versions} blocks are there`)
      if ((disk.replicas.get(extent)?.head.lastSeq ?? 0) === 7) dropped++
      assert.deepEqual([...disk.suspicion], [extent])
      disk.keep([{ type: 'commit', token: 8, change: { extent, head: {}, blocks: [], windows: [], marked: true } }])
      assert.equal(disk.suspicion.size, 0)
    }
    // From the middle as well as from the end.
    assert.ok(dropped > 0 && dropped < SEEDS.length, `${dropped} of ${SEEDS.length} kept the last one`)
  })

  it('meets an error of a write, of a read, or for want of room, and completes nothing after it', () => {
    for (const trouble of ['storeFails', 'readFails', 'full'] as const) {
      const { clock, disk, store, inputs } = opened(1, 1)
      store.execute(create)
      store.execute(write(1))
      while (clock.step());
      disk[trouble] = true
      store.execute({ type: 'load', token: 7, extent, blocks: [1] })
      store.execute(write(2))
      store.execute(write(3))
      while (clock.step());
      const types = inputs.map(({ type }) => type)
      assert.equal(types.at(-1), 'store-failed', trouble)
      assert.equal(types.filter((type) => type === 'store-failed').length, 1, trouble)
      assert.ok(store.failed)
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
      const durable = inputs.flatMap((input) => (input.type === 'log-appended' ? [input.index] : []))
      assert.deepEqual(
        disk.log.entries.map(({ index }) => index),
        disk.log.entries.map((_, at) => at + 1),
      )
      assert.ok(disk.log.entries.length >= durable.length)
    }
  })
})
