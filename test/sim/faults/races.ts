import { type ExtentRecord, volumeOf } from '@ashlar/proto'
import { VOLUME_NAME } from '../workload/client-driver.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { Victims } from './nemesis.ts'
import { once, type Patience } from './patience.ts'
import type { Tools } from './wide-faults.ts'

const LOOK_MS = 20
/** Longer than that no moment is waited for. */
const PATIENCE_MS = 12_000

/**
 * Harm at moments that faults at random seldom meet: something is in flight to control while the store that it names
 * fails.
 */
export class RaceFaults {
  private readonly victims: Victims
  private readonly tools: Tools
  private stopped = false

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * A replica comes back, and fails again while the request that adds it to the set is in flight: for some seconds all
   * that the primary says to control is late (A2.7: what was asked for may still be granted). Its connections close at
   * once, so that the primary sees it before the answer can come.
   */
  failAddition(): boolean {
    const { truth, chance, network, clock, nodes } = this.victims
    const records = [...truth.map.extents.values()].filter(({ inSync }) => inSync.length > 1)
    if (records.length === 0) return false
    const { id, inSync, primary } = chance.pick(records)
    const first = this.nodeOf(primary.store)
    const replica = this.nodeOf(chance.pick(inSync.filter((store) => store !== primary.store)))
    const leader = this.leader()?.name
    if (first === undefined || replica === undefined || [first.name, replica.name].includes(leader ?? '')) return false
    const { store } = replica.disk
    replica.crash({ powerLoss: false })
    const isOut = (): boolean => truth.record(id)?.inSync.includes(store) !== true
    const restart = (): void => {
      // Less than control waits for renewals, or it would call the primary lost, and what that one asked for would be
      // void.
      const lateMs = chance.between(500, 950)
      // Other replicas are notified in time, and the leader may change.
      const isVoter = (name: string): boolean => this.victims.voters().some((voter) => voter.name === name)
      const control = nodes.filter(({ name }) => name !== first.name && name !== replica.name && isVoter(name))
      for (const { name } of control) network.setLag(first.name, name, lateMs)
      clock.after(lateMs + chance.between(4000, 6000), () => {
        for (const { name } of control) network.setLag(first.name, name, 0)
      })
      replica.start()
      once(
        this.patience,
        PATIENCE_MS,
        () => first.process?.asksFor(id, store) === true,
        () => clock.after(chance.between(0, 100), () => this.failAgain(replica)),
      )
    }
    once(this.patience, PATIENCE_MS, isOut, restart, () => replica.start())
    return true
  }

  private failAgain(replica: NodeHost): void {
    if (this.stopped) return
    replica.crash({ powerLoss: false })
    this.tools.startLater(replica, this.victims.chance.between(1500, 6000))
  }

  /**
   * Leadership of control moves to a voter that a primary cannot reach, and a client attaches at once: the primary
   * still has the lease that the leader before granted, and serves the client before (amendment 4).
   */
  attachAtNewLeader(): boolean {
    const { truth, chance, nodes } = this.victims
    const records = [...truth.map.extents.values()].filter(({ id }) => truth.volume(volumeOf(id))?.name === VOLUME_NAME)
    const leader = this.leader()
    if (records.length === 0 || leader === undefined) return false
    const primary = this.nodeOf(chance.pick(records).primary.store)
    const others = this.victims.voters().filter(({ name, up }) => up && name !== leader.name && name !== primary?.name)
    if (primary === undefined || primary === leader || others.length === 0) return false
    const next = chance.pick(others)
    const cut = { side: new Set([primary.name]), others: new Set([next.name]), oneWay: chance.happens(0.3) }
    this.tools.cuts.make([cut], chance.between(1000, 4000))
    leader.process?.admin({ do: 'transfer-leadership', store: next.disk.store }, () => {})
    const leads = (): boolean => nodes.includes(next) && next.process?.leads === true
    once(this.patience, 2000, leads, () => this.attach())
    return true
  }

  /** Takes the volume away from all clients, and returns it soon. */
  private attach(): void {
    const { chance, clients, clock } = this.victims
    const { process } = chance.pick(clients)
    process.call({ do: 'open', name: VOLUME_NAME, mode: 'exclusive', policy: 'take' }, (outcome) => {
      if (!outcome.ok || outcome.result.kind !== 'opened') return
      const { handle } = outcome.result
      clock.after(chance.between(0, 500), () => process.call({ do: 'close', volume: handle }, () => {}))
    })
  }

  private leader(): NodeHost | undefined {
    return this.victims.nodes.find(({ process }) => process?.leads === true)
  }

  private nodeOf(store: ExtentRecord['primary']['store']): NodeHost | undefined {
    return this.victims.nodes.find(({ disk, up }) => up && disk.store === store)
  }

  private get patience(): Patience {
    return { clock: this.victims.clock, lookMs: LOOK_MS, isOver: () => this.stopped }
  }
}
