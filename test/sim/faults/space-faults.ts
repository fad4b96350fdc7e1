import type { Disk } from '../world/disk.ts'
import type { Victims } from './nemesis.ts'

/** Something else fills disks, and leaves them again (amendment 17). Nothing is to harm where disks have no end. */
export class SpaceFaultMaker {
  private readonly victims: Victims

  constructor(victims: Victims) {
    this.victims = victims
  }

  /** Space for everything, whatever was taken. */
  mend({ space }: Disk): void {
    const reserves = this.victims.options.space?.reserves
    if (space === undefined || reserves === undefined) return
    space.releaseBuffer()
    space.enlarge(2 * (reserves.placement + this.victims.options.hotBytes))
  }

  /**
   * Takes so much of one disk, or of all, that its store passes a mark; half of the last reserve stays, or not even the
   * marks could keep the store from meeting the end of its disk. Most of it comes back by itself, the rest when an
   * operator frees space.
   */
  take(): boolean {
    const { nodes, chance } = this.victims
    const chosen = chance.happens(0.2) ? nodes : [chance.pick(nodes)]
    const took = chosen.map(({ name, disk }) => this.takeOf(name, disk))
    return took.includes(true)
  }

  private takeOf(name: string, { space }: Disk): boolean {
    const { chance, clock, options } = this.victims
    if (space === undefined || options.space === undefined) return false
    const { last, writes, placement } = options.space.reserves
    const [from, to] = chance.pick([
      [last / 2, last],
      [last, writes],
      [last, writes],
      [writes, placement],
    ] as const)
    const bytes = space.takeUpTo(Math.floor(chance.between(from, to)))
    const backAfterMs = chance.skewed(500, 20_000)
    if (chance.happens(0.8)) clock.after(backAfterMs, () => void space.releaseBuffer(bytes))
    if (bytes > 0) this.victims.trace(`${bytes} bytes of the disk of ${name} are taken`)
    return bytes > 0
  }

  /** An operator frees space on one disk. */
  give(): boolean {
    return this.victims.chance.pick(this.victims.nodes).disk.space?.releaseBuffer() === true
  }
}
