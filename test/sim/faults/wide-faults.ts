import type { WideFaultName } from '../wide/shares.ts'
import type { Cut } from '../world/network.ts'
import type { NodeHost } from '../world/node-host.ts'
import { BuildFaults } from './builds.ts'
import { ClockFaults } from './clock-faults.ts'
import type { Cuts } from './cuts.ts'
import { DirectoryFaults } from './directory-faults.ts'
import { LateRequests } from './late-requests.ts'
import type { Victims } from './nemesis.ts'
import { PeopleFaults } from './people.ts'
import { RaceFaults } from './races.ts'

/** What the nemesis offers to the faults. */
export interface Tools {
  /** Starts a node that is down, after so long. */
  startLater(node: NodeHost, afterMs: number): void
  /** Makes cuts of the network that end together, after so long. */
  cut(cuts: readonly Cut[], forMs: number): void
  /** One store may lose what it holds: no other one is lost, rotten or suspect, and two that count are trusted. */
  mayLoseAny(): boolean
  readonly cuts: Cuts
}

/**
 * The faults that are on in wide seeds alone. A new one has its share in wide/shares.ts and one line in `actions`,
 * which says whether there was anything to harm; what it breaks, `mend` makes good.
 */
export class WideFaults {
  protected readonly tools: Tools
  private readonly victims: Victims
  private readonly people: PeopleFaults
  private readonly races: RaceFaults
  private readonly directories: DirectoryFaults
  private readonly clocks: ClockFaults
  private readonly builds: BuildFaults
  private readonly late: LateRequests

  constructor(victims: Victims, tools: Tools) {
    this.victims = victims
    this.tools = tools
    this.people = new PeopleFaults(victims)
    this.races = new RaceFaults(victims, tools)
    this.directories = new DirectoryFaults(victims, tools)
    this.clocks = new ClockFaults(victims, tools)
    this.builds = new BuildFaults(victims, tools)
    this.late = new LateRequests(victims, tools)
  }

  /** No store lacks what it acknowledged. */
  get settled(): boolean {
    return this.directories.settled
  }

  readonly actions: Readonly<Record<WideFaultName, () => boolean>> = {
    'slow-reads': () => this.slowReads(),
    'lose-node': () => this.people.loseNode(),
    'force-primary': () => this.people.forcePrimary(),
    scrub: () => this.people.scrub(),
    'fail-addition': () => this.races.failAddition(),
    'attach-at-new-leader': () => this.races.attachAtNewLeader(),
    'store-back': () => this.directories.storeBack(),
    'control-back': () => this.directories.controlBack(),
    'directory-back': () => this.directories.directoryBack(),
    'late-requests': () => this.late.holdUp(),
    suspend: () => this.clocks.suspend(),
    'set-wall-clock': () => this.clocks.setWallClock(),
    'change-build': () => this.builds.changeBuild(),
  }

  /** No more harm: what was planned for later is not done any more. */
  stop(): void {
    this.people.stop()
    this.races.stop()
    this.directories.stop()
  }

  /** What was broken about this node is whole again. */
  mend(node: NodeHost): void {
    node.disk.extraReadMs = 0
    this.builds.mend(node)
    this.late.mend()
  }

  /** A list of blocks, a comparison, a merge: whatever waits for a read of this store waits for so long. */
  private slowReads(): boolean {
    const { clock, chance, nodes } = this.victims
    const { disk } = chance.pick(nodes)
    disk.extraReadMs = chance.skewed(5, 4000)
    clock.after(chance.skewed(200, 8000), () => {
      disk.extraReadMs = 0
    })
    return true
  }
}
