import type { Victims } from './nemesis.ts'
import type { Tools } from './wide-faults.ts'

/** Connections of clients that are closed while what they carry is delayed, and arrives late. */
export class LateRequests {
  private readonly victims: Victims
  private readonly tools: Tools
  private readonly held: Set<() => void> = new Set()

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
  }

  /**
   * What a client sends to a primary waits on its connection. Soon the client takes that one for dead and goes on over
   * another; seconds later, when what it sent may have failed and other things were written, the first messages come.
   * In half of the cases the other replicas are down meanwhile, so that the primary answers WAIT, and back shortly
   * before.
   */
  holdUp(): boolean {
    const { chance, clock, drivers, network, nodes, truth } = this.victims
    const records = [...truth.map.extents.values()]
    const writers = drivers.filter(({ mode, hasVolume }) => mode !== 'read-only' && hasVolume)
    if (records.length === 0 || writers.length === 0) return false
    const { primary, assigned } = chance.pick(records)
    const node = nodes.find(({ disk }) => disk.store === primary.store)
    const connection = node && network.holdBack(chance.pick(writers).process, node.name)
    if (connection === undefined) return false
    const release = (): void => {
      if (this.held.delete(release)) connection.release()
    }
    this.held.add(release)
    clock.after(chance.skewed(20, 600), () => connection.lose())
    const downMs = chance.between(1000, 6000)
    clock.after(downMs + chance.between(0, 2000), release)
    if (chance.happens(0.5)) return true
    for (const other of nodes) {
      if (other === node || !other.up || !assigned.includes(other.disk.store)) continue
      other.crash({ powerLoss: false })
      this.tools.startLater(other, downMs)
    }
    return true
  }

  /** What is held up comes now. */
  mend(): void {
    for (const release of this.held) release()
  }
}
