import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ClusterId, type Greet, isUuid, type StoreId, TIMERS, type Voter } from '@ashlar/proto'
import { Bootstrap, type BootstrapStart } from '../../../src/core/bootstrap/index.ts'
import type { Effect } from '../../../src/core/machine.ts'
import { address, CLUSTER, found, Script, store } from '../control/kit.ts'

/** Nodes that greet each other over perfect links; disks write when the test says so. */
class World {
  readonly ctx: Script = new Script()
  readonly nodes = new Map<number, Bootstrap>()
  readonly disks = new Map<number, Effect[]>()
  readonly events: { node: number; reason: unknown }[] = []
  readonly fatal: { node: number; reason: string }[] = []
  readonly saved = new Map<number, { cluster: ClusterId; founded: boolean }>()
  /** False: what nodes hand to their disks stays there until `writeDisks`. */
  disksWork = true

  start(n: number, over: Partial<BootstrapStart> = {}): void {
    const peers = [1, 2, 3, 4, 5].map(address)
    this.nodes.set(
      n,
      new Bootstrap({
        store: store(n),
        address: address(n),
        cluster: undefined,
        voters: [],
        founded: false,
        peers,
        expect: peers.length,
        log: [],
        ...over,
      }),
    )
    this.disks.set(n, [])
    for (const other of this.nodes.keys()) if (other !== n) this.connect(n, other)
    this.tick()
  }

  /** Both sides greet over the new link. A link from a to b is a * 10 + b at both ends. */
  connect(a: number, b: number): void {
    for (const [at, link] of [
      [a, a * 10 + b],
      [b, a * 10 + b],
    ] as const) {
      this.node(at).onLinkUp(this.ctx, link)
      this.executeEffects(at)
    }
  }

  stop(n: number): void {
    this.nodes.delete(n)
    for (const [other, node] of this.nodes) for (const link of [n * 10 + other, other * 10 + n]) node.onLinkDown(link)
  }

  tick(): void {
    for (const [n, node] of this.nodes) {
      node.onTick(this.ctx)
      this.executeEffects(n)
    }
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.ctx.now += 50
      this.tick()
    }
  }

  node(n: number): Bootstrap {
    const node = this.nodes.get(n)
    assert.ok(node !== undefined, `node ${n} runs`)
    return node
  }

  writeDisk(n: number): void {
    const written = this.disks.get(n) ?? []
    this.disks.set(n, [])
    for (const effect of written) {
      if (effect.type === 'log-append') this.node(n).onLogAppended(this.ctx)
      if (effect.type === 'save-cluster') {
        this.saved.set(n, { cluster: effect.cluster, founded: effect.founded })
        this.node(n).onClusterSaved(this.ctx)
      }
      this.executeEffects(n)
    }
  }

  executeEffects(n: number): void {
    for (const effect of this.ctx.take()) {
      if (effect.type === 'event' && effect.event.level === 'error')
        this.events.push({ node: n, reason: effect.event['reason'] })
      if (effect.type === 'fatal') this.fatal.push({ node: n, reason: effect.reason })
      if (effect.type === 'send' && effect.message.type === 'greet') this.deliver(n, effect.link, effect.message)
      if (effect.type === 'log-append' || effect.type === 'save-cluster') this.disks.get(n)?.push(effect)
    }
    while (this.disksWork && (this.disks.get(n)?.length ?? 0) > 0) this.writeDisk(n)
  }

  deliver(from: number, link: number, greet: Greet): void {
    const to = Math.floor(link / 10) === from ? link % 10 : Math.floor(link / 10)
    const node = this.nodes.get(to)
    if (node === undefined) return
    node.onGreet(this.ctx, link, greet)
    this.executeEffects(to)
  }

  clusters(): Set<ClusterId | undefined> {
    return new Set([...this.nodes.values()].map((node) => node.joined?.cluster))
  }
}

const OLD_VOTER: Voter = { store: store(9), address: address(1) }

function* orders(items: number[]): Generator<number[]> {
  if (items.length === 0) yield []
  for (const item of items) for (const rest of orders(items.filter((it) => it !== item))) yield [item, ...rest]
}

describe('amendment 9: bootstrap of a cluster', () => {
  it('chooses an odd number of initial voters, up to the option, in the order of the peers', () => {
    for (const [voterCount, expect, voters] of [
      [1, 5, 1],
      [3, 5, 3],
      [5, 5, 5],
      [5, 4, 3],
      [3, 2, 1],
    ] as const) {
      const world = new World()
      for (const n of [1, 2, 3, 4, 5]) world.start(n, { voterCount, expect })
      world.pass(100)
      const chosen = Array.from({ length: voters }, (_, i) => ({ store: store(i + 1), address: address(i + 1) }))
      for (const node of world.nodes.values())
        assert.deepEqual(node.joined?.voters, chosen, `${voterCount} of ${expect}`)
    }
  })

  it('five empty peers bootstrap one cluster in any order of their starts, at the address that sorts first', () => {
    let count = 0
    for (const order of orders([1, 2, 3, 4, 5])) {
      const world = new World()
      for (const [at, n] of order.entries()) {
        world.start(n)
        if (at < 4) assert.equal(world.saved.size, 0, `nothing before all respond: ${order.join()}`)
      }
      world.pass(100)
      assert.equal(world.clusters().size, 1, order.join())
      assert.ok(isUuid([...world.clusters()][0]))
      assert.deepEqual(
        [...world.saved].filter(([, { founded }]) => founded).map(([n]) => n),
        [1],
      )
      assert.equal(world.node(1).joined?.log.length, 1)
      assert.equal(world.node(2).joined?.log.length, 0)
      assert.deepEqual(world.node(5).joined?.voters, [{ store: store(1), address: address(1) }])
      count++
    }
    assert.equal(count, 120)
  })

  it('all nodes join the cluster that a peer knows, also the first address', () => {
    const world = new World()
    const voters = [{ store: store(2), address: address(2) }]
    world.start(2, { cluster: CLUSTER, voters, founded: true, log: [{ index: 1, term: 1, command: found() }] })
    for (const n of [1, 3, 4, 5]) world.start(n)
    assert.deepEqual(world.clusters(), new Set([CLUSTER]))
    assert.equal(world.saved.get(1)?.founded, false)
  })

  it('a node names the peers that it waits for', () => {
    const world = new World()
    for (const n of [1, 2, 4]) world.start(n)
    world.pass(60_000)
    assert.equal(world.saved.size, 0)
    assert.match(world.node(1).waitsFor, /waits for n3:7580, n5:7580 to respond/)
    assert.equal(world.node(1).state, 'waiting')
    world.start(3)
    world.start(5)
    assert.equal(world.clusters().size, 1)
  })

  it('a peer that disconnected does not count as one that responds', () => {
    const world = new World()
    for (const n of [1, 2, 3, 4]) world.start(n)
    world.stop(4)
    world.start(5)
    assert.equal(world.saved.size, 0)
    assert.match(world.node(1).waitsFor, /n4:7580/)
  })

  it('the other nodes name the node that bootstraps the cluster', () => {
    const world = new World()
    world.disksWork = false
    for (const n of [1, 2, 3, 4, 5]) world.start(n)
    assert.match(world.node(3).waitsFor, /n1:7580, whose address sorts first/)
    assert.equal(world.node(1).state, 'bootstrapping')
  })

  it('lists of peers that differ are refused, in one event that names both', () => {
    const world = new World()
    for (const n of [1, 2, 3, 4]) world.start(n)
    world.start(5, { peers: [1, 2, 3, 5].map(address), expect: 4 })
    world.pass(1000)
    assert.equal(world.saved.size, 0)
    const said = world.events.filter(({ node }) => node === 1)
    assert.equal(said.length, 1)
    assert.match(
      String(said[0]?.reason),
      /has n1:7580, n2:7580, n3:7580, n4:7580, n5:7580, and n5:7580 has n1:7580, n2:7580, n3:7580, n5:7580/,
    )
    assert.equal(world.node(1).waitsFor, said[0]?.reason)
  })

  it('a node joins neither of two clusters that its peers belong to', () => {
    const ctx = new Script()
    const peers = [1, 2, 3].map(address)
    const torn = new Bootstrap({
      store: store(1),
      address: address(1),
      cluster: undefined,
      voters: [],
      founded: false,
      peers,
      expect: 3,
      log: [],
    })
    const other = '00000000-0000-4000-8000-00000000dead' as ClusterId
    torn.onGreet(ctx, 1, { ...greet(2, CLUSTER), voters: [] })
    torn.onGreet(ctx, 2, greet(3, other))
    assert.equal(torn.state, 'waiting')
    const said = ctx.take().map((effect) => effect.type === 'event' && effect.event['reason'])
    assert.match(String(said[0]), /different clusters: n2:7580 to .*c1a5; n3:7580 to .*dead/)
  })

  it('a node announces its cluster only once it is durable', () => {
    const world = new World()
    world.disksWork = false
    for (const n of [1, 2, 3, 4, 5]) world.start(n)
    world.writeDisk(1)
    assert.equal(world.node(1).state, 'bootstrapping', 'the first entry of the log is durable, the identity not yet')
    world.writeDisk(1)
    assert.equal(world.node(1).state, 'joined')
    assert.equal(world.node(2).state, 'joining')
    world.writeDisk(2)
    assert.equal(world.node(2).joined?.cluster, world.node(1).joined?.cluster)
  })

  it('a node that crashed between log and identity completes the same bootstrap when it restarts', () => {
    const world = new World()
    world.disksWork = false
    for (const n of [1, 2, 3, 4, 5]) world.start(n)
    const appended = world.disks.get(1)?.find((effect) => effect.type === 'log-append')
    assert.ok(appended?.type === 'log-append')
    world.stop(1)
    world.disksWork = true
    world.start(1, { log: [appended.entry] })
    world.pass(100)
    const command = appended.entry.command
    assert.equal(world.clusters().size, 1)
    assert.ok(world.clusters().has(command.do === 'found' ? command.cluster : undefined))
  })

  it('with `expect` below the number of peers the first of the list decide', () => {
    const world = new World()
    for (const n of [4, 5, 2]) world.start(n, { expect: 3 })
    assert.equal(world.saved.size, 0)
    world.start(3, { expect: 3 })
    world.start(1, { expect: 3 })
    assert.equal(world.clusters().size, 1)
  })

  it('a node whose address is not among the peers reports that', () => {
    const world = new World()
    world.start(1, { peers: [2, 3].map(address), expect: 2 })
    assert.match(world.node(1).waitsFor, /does not name this node's own address n1:7580/)
  })
})

describe('--init', () => {
  it('bootstraps at once without other peers', () => {
    const world = new World()
    world.start(1, { peers: [address(1)], expect: 1 })
    assert.equal(world.saved.get(1)?.founded, true)
  })

  it('is refused if a peer reports a cluster in time', () => {
    const world = new World()
    world.start(3, { peers: [2, 3].map(address), expect: 1 })
    world.pass(TIMERS.silentMs / 2)
    assert.equal(world.saved.size, 0)
    world.start(2, { cluster: CLUSTER, voters: [{ store: store(2), address: address(2) }] })
    assert.equal(world.fatal[0]?.node, 3)
    assert.match(world.fatal[0]?.reason ?? '', /n2:7580 responds and belongs to cluster/)
    assert.equal(world.saved.size, 0)
  })

  it('bootstraps once silent peers had that time', () => {
    const world = new World()
    world.start(3, { peers: [2, 3].map(address), expect: 1 })
    world.pass(TIMERS.silentMs + 100)
    assert.equal(world.saved.get(3)?.founded, true)
  })
})

describe('a missing control log', () => {
  it('an empty store at the address of the only voter waits for an operator and does not bootstrap', () => {
    const world = new World()
    for (const n of [2, 3, 4, 5]) world.start(n, { cluster: CLUSTER, voters: [OLD_VOTER] })
    world.start(1)
    world.pass(60_000)
    assert.equal(world.node(1).state, 'control-lost')
    assert.match(
      world.node(1).waitsFor,
      /the control log is lost: the only voter of control was store .*9 at this address/,
    )
    assert.equal(world.saved.size, 0)
    assert.equal(world.node(1).joined, undefined)
  })

  it('a store that bootstrapped its cluster and lost its log waits for an operator', () => {
    const world = new World()
    world.start(1, { cluster: CLUSTER, voters: [{ store: store(1), address: address(1) }], founded: true })
    world.pass(1000)
    assert.equal(world.node(1).state, 'control-lost')
    assert.match(world.node(1).waitsFor, /bootstrapped its cluster, but its control log is missing/)
  })
})

function greet(n: number, cluster: ClusterId | undefined): Greet {
  return {
    type: 'greet',
    store: store(n) as StoreId,
    address: address(n),
    ...(cluster === undefined ? {} : { cluster }),
    voters: cluster === undefined ? [] : [{ store: store(n), address: address(n) }],
    expect: [1, 2, 3].map(address),
  }
}
