import type { AdminCommand, ExtentRecord } from '@ashlar/proto'
import { VOLUME_NAME } from '../workload/client-driver.ts'
import type { NodeHost } from '../world/node-host.ts'
import type { Victims } from './nemesis.ts'
import { once, type Patience } from './patience.ts'

/** How often an operator checks whether what is waited for has come. */
const LOOK_MS = 250
/** No check comes after that. */
const PATIENCE_MS = 15_000

/** What operators do to a cluster in trouble, through the API of any node that is up. */
export class PeopleFaults {
  private readonly victims: Victims
  private stopped = false
  /** Extents that an operator tries to give a primary by force. */
  private readonly forcing = new Set<number>()

  constructor(victims: Victims) {
    this.victims = victims
  }

  stop(): void {
    this.stopped = true
  }

  /** A node is down for so long that it is declared lost (amendment 15). It comes back with its disk later. */
  loseNode(): boolean {
    const { nodes, chance, clock, truth } = this.victims
    const node = chance.pick(nodes)
    if (!node.up) return false
    const { store } = node.disk
    node.crash({ powerLoss: chance.happens(0.5) })
    once(
      this.patience,
      PATIENCE_MS,
      () => truth.map.nodes.get(store)?.state === 'down',
      () => {
        if (!node.up && node.disk.store === store) this.command({ do: 'lose-store', store })
      },
    )
    clock.after(chance.between(3000, 25_000), () => node.start())
    return true
  }

  /**
   * Every member of an extent is down, and a store that is none of them gets the extent by force (A2.10), which is
   * refused where it need not be. Before that the store is away for as long as it takes until it is no member. The
   * checkers learn it from the entry in control's log. Members come back later and lose what the new timeline does not
   * have.
   */
  forcePrimary(): boolean {
    const { truth, nodes, chance } = this.victims
    const records = [...truth.map.extents.values()].filter(({ id }) => !this.forcing.has(id))
    if (records.length === 0) return false
    const { id, assigned, primary } = chance.pick(records)
    const target = nodes.find(({ disk, up }) => up && assigned.includes(disk.store) && disk.store !== primary.store)
    if (target === undefined) return false
    this.forcing.add(id)
    const { store } = target.disk
    if (isMember(truth.record(id), store)) target.crash({ powerLoss: chance.happens(0.5) })
    const isOut = (): boolean => truth.record(id) !== undefined && !isMember(truth.record(id), store)
    const end = (): void => {
      this.forcing.delete(id)
      target.start()
    }
    once(this.patience, PATIENCE_MS, isOut, () => this.downWithMembers(id, target, end), end)
    return true
  }

  private downWithMembers(id: ExtentRecord['id'], target: NodeHost, end: () => void): void {
    const { truth, nodes, chance, clock } = this.victims
    const members = nodes.filter(({ disk }) => isMember(truth.record(id), disk.store))
    for (const member of members) {
      member.crash({ powerLoss: chance.happens(0.5) })
      clock.after(chance.between(8000, 20_000), () => member.start())
    }
    target.start()
    const { store } = target.disk
    const isForced = (): boolean => {
      if (members.some(({ up }) => up) || target.disk.store !== store) return true
      if (chance.happens(0.3)) this.command({ do: 'force-primary', extent: id, store })
      return truth.map.forced.has(id) && truth.record(id)?.primary.store === store
    }
    const acknowledge = (): void => {
      end()
      if (chance.happens(0.5)) this.command({ do: 'acknowledge-loss', name: VOLUME_NAME })
    }
    once(this.patience, PATIENCE_MS, isForced, acknowledge, end)
  }

  /** A store reads all that it holds, and reports damage to its machine. */
  scrub(): boolean {
    const { process } = this.victims.chance.pick(this.victims.nodes)
    if (process?.alive() !== true) return false
    process.scrub()
    return true
  }

  private command(command: AdminCommand): void {
    const up = this.victims.nodes.filter((node) => node.up)
    if (up.length > 0) this.victims.chance.pick(up).process?.admin(command, () => {})
  }

  private get patience(): Patience {
    return { clock: this.victims.clock, lookMs: LOOK_MS, isOver: () => this.stopped }
  }
}

function isMember(record: ExtentRecord | undefined, store: string): boolean {
  return record !== undefined && [...record.inSync, ...record.eligible].some((member) => member === store)
}
