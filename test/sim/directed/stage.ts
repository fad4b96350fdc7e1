import type { MachineEvent } from '@ashlar/node/core'
import type { ExtentRecord } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import { becomeReady, comeToRest } from '../phases.ts'
import type { NodeHost } from '../world/node-host.ts'
import { World } from '../world/world.ts'

/** A cluster that does nothing wrong by itself: what happens to it is what a schedule does. */
const UNDISTURBED: SimulationOptions = {
  seed: 1,
  nodes: 3,
  voters: 1,
  raft: false,
  operator: false,
  log: {},
  minInSync: 1,
  sizeBytes: 8 * BLOCK_BYTES,
  extentSizeBytes: 4096 * BLOCK_BYTES,
  hotOffset: 0,
  hotBytes: 2 * BLOCK_BYTES,
  sharing: 'shared',
  churn: false,
  faultsFromStart: false,
  workload: {
    depth: 2,
    thinkMs: 20,
    writeShare: 0.6,
    partialShare: 0,
    discardShare: 0,
    mostBlocks: 1,
    flushEveryMs: 0,
  },
  network: { delayMs: 1, tailPerFrame: 0, tailMs: 0, lossPerFrame: 0, encoded: false },
  disk: { syncMs: 2, tailPerSync: 0, tailMs: 0, batchesInFlight: 1, errorPerBatch: 0, lateReads: false },
  clockError: 0,
  faultsMs: 0,
  faultEveryMs: 0,
  faults: [],
  ioTimeoutMs: 30_000,
}

/** Thrown when a schedule could not be followed: the misfortune that it is about did not come to pass. */
export class NotFollowed extends Error {}

/** One cluster under a schedule. Roles are those of its first extent at the moment of asking. */
export class Stage {
  readonly world: World

  constructor(changes: Partial<SimulationOptions> = {}) {
    this.world = new World({ ...UNDISTURBED, raft: (changes.voters ?? 1) > 1, ...changes })
    this.world.begin()
    if (!becomeReady(this.world)) throw new NotFollowed(JSON.stringify(this.world.checkers.report.violations))
    this.run(500)
  }

  /** The first of some stages where the roles fall as a schedule needs them. */
  static where(fits: (stage: Stage) => boolean, changes: Partial<SimulationOptions> = {}): Stage {
    for (let seed = 1; seed <= 20; seed++) {
      const stage = new Stage({ ...changes, seed })
      if (fits(stage)) return stage
    }
    throw new NotFollowed('no stage fits')
  }

  get record(): ExtentRecord {
    const [record] = this.world.checkers.truth.map.extents.values()
    if (record === undefined) throw new NotFollowed('there is no extent')
    return record
  }

  /** The client that control has as holder of the volume. */
  get holder(): string | undefined {
    const [volume] = this.world.checkers.truth.map.volumes.values()
    return volume?.holders[0]?.client
  }

  /** The node with the control log, or one of them. */
  get voter(): NodeHost {
    return this.world.nodes[0] as NodeHost
  }

  get hasLeader(): boolean {
    return this.world.nodes.some(({ process }) => process?.leads === true)
  }

  /** The node that leads control, of several voters. */
  get leader(): NodeHost {
    return this.find('leader', ({ process }) => process?.leads === true)
  }

  /** Holds once some more writes were acknowledged. */
  nextWrites(): () => boolean {
    const { durability } = this.world.checkers
    const before = durability.acknowledgements
    return () => durability.acknowledgements >= before + 5
  }

  get primary(): NodeHost {
    return this.find('primary', (node) => node.disk.store === this.record.primary.store)
  }

  /** A node other than the voter that is not primary. */
  get replica(): NodeHost {
    return this.find('replica', (node) => node !== this.voter && node.disk.store !== this.record.primary.store)
  }

  /**
   * The store that will lead if the primary dies now: of the other members in sync, none of which leads, the one with
   * the lowest id.
   */
  get successor(): NodeHost {
    const { inSync, primary } = this.record
    const [next] = inSync.filter((store) => store !== primary.store).toSorted()
    return this.find('successor', (node) => node.disk.store === next)
  }

  /** Makes sure that the primary is not the voter, by having the voter hand over. */
  movePrimaryFromVoter(): this {
    if (this.primary !== this.voter) return this
    this.voter.shutDown()
    this.until('the voter has handed over', () => !this.voter.up)
    this.voter.start()
    this.until('another primary', () => this.primary !== this.voter && this.world.healed())
    // Connections to the voter come back, and the stream to it is opened again.
    return this.run(1500)
  }

  run(forMs: number): this {
    this.world.runUntil(() => this.world.checkers.broken, forMs)
    return this
  }

  /** Runs until the condition holds; `what` says for what it waits. */
  until(what: string, condition: () => boolean, withinMs = 60_000): this {
    const { world } = this
    if (world.runUntil(() => condition() || world.checkers.broken, withinMs)) return this
    throw new NotFollowed(`${what} did not come within ${withinMs} ms: ${world.describe()}`)
  }

  /** Runs until the condition holds; that it does so in time is a promise, so otherwise it is a violation. */
  expect(what: string, condition: () => boolean, withinMs: number): this {
    const { world } = this
    if (!world.runUntil(() => condition() || world.checkers.broken, withinMs)) {
      world.checkers.violation('liveness', `${what}: not within ${withinMs} ms: ${world.describe()}`)
    }
    return this
  }

  /** Runs until a node says this, and acts at that very moment. */
  when(what: string, matches: (event: MachineEvent) => boolean, act: () => void): this {
    const { checkers } = this.world
    let done = false
    checkers.onMachineEvent = (_node, event) => {
      if (done || event.what !== what || !matches(event)) return
      done = true
      // An event comes in the middle of a step: what a schedule does to a node, it does between two.
      this.world.clock.after(0, act)
    }
    return this.until(what, () => done)
  }

  /** Cuts a node off until it is out of the in-sync set, and ends its connections to the primary. */
  takeOut(node: NodeHost): void {
    const { network } = this.world
    const { store } = node.disk
    network.setCuts([{ side: new Set([node.name]), oneWay: false }])
    this.until(`${node.name} is taken out`, () => !this.record.inSync.includes(store))
    const { process } = this.primary
    if (process !== undefined) network.breakAll(process, node.name)
  }

  /** Cuts hosts from each other, both ways; nothing else is cut any more. */
  cut(from: NodeHost, ...others: readonly NodeHost[]): this {
    const names = new Set(others.map(({ name }) => name))
    this.world.network.setCuts([{ side: new Set([from.name]), others: names, oneWay: false }])
    return this
  }

  heal(): this {
    this.world.network.setCuts([])
    return this
  }

  /** Replaces the disk of a node, which starts at once. */
  replaceDisk(node: NodeHost): void {
    this.world.victims().lost(node.wipe())
    node.start()
  }

  /** Everything works again, and the cluster comes to rest. */
  finish(): readonly Violation[] {
    this.heal()
    for (const node of this.world.nodes) node.start()
    if (!this.world.checkers.broken) comeToRest(this.world)
    this.world.checkers.end(this.world.history)
    return this.world.checkers.report.violations
  }

  private find(what: string, matches: (node: NodeHost) => boolean): NodeHost {
    const found = this.world.nodes.find(matches)
    if (found === undefined) throw new NotFollowed(`there is no ${what}`)
    return found
  }
}
