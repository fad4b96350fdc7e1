import type { Process } from '../world/process.ts'
import type { Victims } from './nemesis.ts'
import type { Tools } from './wide-faults.ts'

/** Wall clocks are set by at most a day. */
const DAY_MS = 86_400_000

/** What goes wrong with the time of hosts: machines that are suspended, and wall clocks that are set. */
export class ClockFaults {
  private readonly victims: Victims
  private readonly tools: Tools

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
  }

  /**
   * Suspends a machine, most often one on which a client runs beside a node. Mostly nothing of the others reaches it for a moment
   * after it goes on, as after a suspension that outlasts connections: what it hears first is what waited on it.
   */
  suspend(): boolean {
    const { chance, clients, trace } = this.victims
    const process = this.node()?.process
    if (process?.alive() !== true) return false
    const together: Process[] = chance.happens(0.8) ? [process, chance.pick(clients).process] : [process]
    const forMs = chance.skewed(500, 20_000)
    const cutOff = chance.happens(0.7)
    const longerMs = chance.between(0, 300)
    if (cutOff) this.tools.cut([{ side: new Set(together.map(({ host }) => host)), oneWay: false }], forMs + longerMs)
    trace(`suspend ${together.map(({ host }) => host).join(' ')} for ${forMs.toFixed(0)}`)
    return together.map((each) => each.suspend(forMs)).includes(true)
  }

  /** Sets the wall clock of a node, forward or back. */
  setWallClock(): boolean {
    const { chance, nodes } = this.victims
    const node = chance.pick(nodes)
    node.wallAheadMs += chance.between(-1, 1) * chance.skewed(10, DAY_MS)
    return node.up
  }

  /** Most often a node that leads an extent: others have no lease that could seem to hold. */
  private node(): Victims['nodes'][number] | undefined {
    const { chance, nodes, truth } = this.victims
    const records = [...truth.map.extents.values()]
    if (records.length === 0 || chance.happens(0.3)) return chance.pick(nodes)
    const { store } = chance.pick(records).primary
    return nodes.find(({ disk }) => disk.store === store)
  }
}
