import type { Cut, Network } from '../world/network.ts'
import type { Clock } from '../world/time.ts'

/** The cuts of the network that the nemesis made. Each has an end of its own. */
export class Cuts {
  private readonly clock: Clock
  private readonly network: Network
  /** A new cut comes beside the others; otherwise it takes their place. */
  private readonly several: boolean
  private standing: (readonly Cut[])[] = []

  constructor(clock: Clock, network: Network, several: boolean) {
    this.clock = clock
    this.network = network
    this.several = several
  }

  /** Makes cuts that end together, after so long. */
  make(cuts: readonly Cut[], forMs: number): void {
    this.standing = this.several ? [...this.standing, cuts] : [cuts]
    this.apply()
    this.clock.after(forMs, () => {
      if (!this.standing.includes(cuts)) return
      this.standing = this.standing.filter((other) => other !== cuts)
      this.apply()
    })
  }

  mend(): void {
    this.standing = []
    this.apply()
  }

  private apply(): void {
    this.network.setCuts(this.standing.flat())
  }
}
