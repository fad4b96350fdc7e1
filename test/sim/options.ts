import type { Bytes, Millis } from '@ashlar/proto'
import { KIB, MIB } from '@ashlar/proto'
import type { WideFaultName, WidePhaseName } from './wide/shares.ts'
import { Chance } from './world/chance.ts'
import type { DiskFaults } from './world/disk-faults.ts'
import type { SpaceOptions } from './world/disk-space.ts'
import type { NetworkFaults } from './world/network.ts'
import type { LogOptions } from './world/node-host.ts'

/** What one seed stands for. Each seed turns a random part of the faults on, so that rare ones meet undisturbed. */
export interface SimulationOptions {
  readonly seed: number
  /** How many nodes there are: no fewer than voters. */
  readonly nodes: number
  /** How many nodes vote on the control log. */
  readonly voters: number
  /** Raft keeps the control log also where one voter is alone. Without it that one keeps it without elections. */
  readonly raft: boolean
  /** When voters take snapshots of the control log, and what they keep before them. Empty: later than a run lasts. */
  readonly log: LogOptions
  /** Copies of each extent; 3 where it is absent. No fewer nodes than that. */
  readonly replicas?: number
  readonly minInSync: number
  readonly sizeBytes: Bytes
  readonly extentSizeBytes: Bytes
  /** The bytes that clients work on. */
  readonly hotOffset: Bytes
  readonly hotBytes: Bytes
  /** From one block that clients work on to the next: 4 KiB when absent, so that they lie side by side. */
  readonly hotStrideBytes?: Bytes
  /** Shared: all clients write. Takeover: two clients take the volume from each other, the others read. */
  readonly sharing: 'shared' | 'takeover'
  /** Clients that take the volume leave it to its holder now and then (A2.11-11). Absent: they always take it. */
  readonly policies?: boolean
  /** One more client makes and removes volumes of its own. */
  readonly churn: boolean
  /** One more client shares a volume of its own for a moment, again and again, and is killed half of the time. */
  readonly shortSessions?: boolean
  /** An operator changes the voters of the control log, again and again. */
  readonly operator: boolean
  /** Faults begin with the first process, during the bootstrap of the cluster. */
  readonly faultsFromStart: boolean
  readonly workload: WorkloadOptions
  readonly network: NetworkFaults
  readonly disk: DiskFaults
  /** How the clocks of hosts differ from true time, at most: 0.02 is 2 %. */
  readonly clockError: number
  /** How long faults go on. */
  readonly faultsMs: Millis
  /** Mean time between two faults. */
  readonly faultEveryMs: Millis
  readonly faults: readonly FaultName[]
  readonly ioTimeoutMs: Millis
  /** Disks of limited size. Absent: no store ever runs out of space, and none gets a report of it. */
  readonly space?: SpaceOptions
  /**
   * Several cuts at once, each with an end of its own. Absent: a cut takes the place of the one before, and ends soon.
   */
  readonly longCuts?: boolean
  /** Feature level that the build of each node knows at first. Absent: every node runs this build. */
  readonly builds?: readonly number[]
  /** Stores are the one that ships, over its memory driver. Such a seed is started by a timer or an immediate. */
  readonly shippedStore?: boolean
  /** Of the wide family of seeds. */
  readonly wide?: boolean
  /** Most voters are lost in the end, and an operator makes a cluster of what is left. */
  readonly recovery?: boolean
  /** What comes between the time of faults and the mending. Absent: nothing. */
  readonly phases?: readonly WidePhaseName[]
}

export interface WorkloadOptions {
  /** Calls that one client has in flight at once. */
  readonly depth: number
  readonly thinkMs: Millis
  readonly writeShare: number
  /** Of the writes: those that change a part of a block. */
  readonly partialShare: number
  /** Of the writes: those that trim or zero. */
  readonly discardShare: number
  readonly mostBlocks: number
  /** Mean time between two flushes of one client; 0: none. */
  readonly flushEveryMs: Millis
}

export const FAULTS = [
  'crash-one',
  'crash-many',
  'crash-mid-step',
  'shut-down',
  'cut',
  'cut-one-way',
  'isolate-primary',
  'pause',
  'lag',
  'break',
  'wipe',
  'wipe-sole',
  'rot',
  'client-crash',
  'power-loss',
  'slow-disk',
  'stuck-disk',
  'log-error',
] as const
/** Those that need several voters. */
export const VOTER_FAULTS = ['crash-leader', 'isolate-leader', 'deafen-leader', 'split-voters', 'wipe-voter'] as const
/** What disks do wrong beside that, in some seeds. */
export const DISK_FAULTS = ['store-error', 'read-error', 'full-disk', 'drop-records', 'distrust'] as const
/** What happens to the space on disks, where it is limited. */
export const SPACE_FAULTS = ['take-space', 'give-space'] as const
export type FaultName =
  | (typeof FAULTS)[number]
  | (typeof VOTER_FAULTS)[number]
  | (typeof DISK_FAULTS)[number]
  | (typeof SPACE_FAULTS)[number]
  | WideFaultName
/** The first of them have their place in the draws of a seed; the others draw for themselves. */
const FIRST_FAULTS = 14

export const BLOCK_BYTES: Bytes = 4 * KIB
const NODES = 3

/** The options that a seed stands for; with another number of voters than it would have, if that is said. */
export function optionsOf(seed: number, voters: number = votersOf(seed)): SimulationOptions {
  const chance = new Chance(seed ^ 0x5eed5eed)
  const shape = shapeOf(chance)
  const raft = voters > 1 || raftAlone(seed)
  const operator = raft && new Chance(seed ^ 0x0be4).happens(0.4)
  const minInSync = chance.happens(0.6) ? 2 : 1
  return {
    seed,
    nodes: Math.max(NODES, voters) + (operator ? new Chance(seed ^ 0x40de).integer(0, 2) : 0),
    voters,
    operator,
    raft,
    log: logOf(seed),
    minInSync,
    ...shape,
    sharing: chance.happens(0.5) ? 'takeover' : 'shared',
    policies: true,
    churn: chance.happens(0.2),
    faultsFromStart: chance.happens(0.1),
    workload: {
      depth: chance.integer(1, 4),
      thinkMs: chance.pick([20, 60, 150]),
      writeShare: chance.between(0.3, 0.7),
      partialShare: chance.happens(0.5) ? chance.between(0.1, 0.6) : 0,
      discardShare: chance.happens(0.3) ? chance.between(0.05, 0.2) : 0,
      mostBlocks: chance.happens(0.4) ? 3 : 1,
      flushEveryMs: new Chance(seed ^ 0xf1a54).pick([0, 300, 1500]),
    },
    network: {
      delayMs: chance.pick([1, 4, 12]),
      tailPerFrame: chance.happens(0.5) ? chance.between(0, 0.03) : 0,
      tailMs: chance.pick([100, 500, 3000]),
      lossPerFrame: chance.happens(0.5) ? chance.between(0, 0.004) : 0,
      encoded: chance.happens(0.1),
    },
    disk: {
      syncMs: chance.pick([2, 6, 20]),
      tailPerSync: chance.happens(0.5) ? chance.between(0, 0.03) : 0,
      tailMs: chance.pick([100, 400, 3000]),
      batchesInFlight: chance.happens(0.25) ? chance.integer(2, 3) : 1,
      errorPerBatch: chance.happens(0.2) ? chance.between(0, 0.0005) : 0,
      lateReads: chance.happens(0.5),
    },
    clockError: chance.happens(0.5) ? 0.05 : 0.001,
    faultsMs: chance.pick([15_000, 25_000, 40_000]),
    faultEveryMs: chance.pick([500, 1500, 4000]),
    faults: faultsOf(chance, { seed, minInSync, voters }),
    ioTimeoutMs: chance.pick([2000, 8000, 30_000]),
  }
}

/** Most clusters have three voters, as a bootstrap has by default. */
function votersOf(seed: number): number {
  return new Chance(seed ^ 0x707e45).pick([1, 1, 3, 3, 3, 3, 3, 3, 3, 5])
}

/** Only where the seed drew one voter by itself: an explicit option of one is for what has no elections. */
function raftAlone(seed: number): boolean {
  return votersOf(seed) === 1 && new Chance(seed ^ 0x5010).happens(0.6)
}

function logOf(seed: number): LogOptions {
  const own = new Chance(seed ^ 0x106)
  if (!own.happens(0.7)) return {}
  return {
    snapshotEntries: own.pick([3, 8, 20]),
    trailingEntries: own.pick([0, 1, 6]),
    snapshotPartBytes: own.pick([256, 2048, 65_536]),
  }
}

/** One short extent, one whole extent with many leaves, or two extents with the hot bytes across their edge. */
function shapeOf(chance: Chance): Pick<SimulationOptions, 'sizeBytes' | 'extentSizeBytes' | 'hotOffset' | 'hotBytes'> {
  const extentSizeBytes = 16 * MIB
  const hotBytes = chance.pick([2, 3, 5]) * BLOCK_BYTES
  const kind = chance.next()
  if (kind < 0.5) return { sizeBytes: 8 * BLOCK_BYTES, extentSizeBytes, hotOffset: BLOCK_BYTES, hotBytes }
  if (kind < 0.7) {
    return { sizeBytes: extentSizeBytes, extentSizeBytes, hotOffset: 254 * BLOCK_BYTES, hotBytes }
  }
  const sizeBytes = extentSizeBytes + 8 * BLOCK_BYTES
  return { sizeBytes, extentSizeBytes, hotOffset: extentSizeBytes - BLOCK_BYTES, hotBytes }
}

/** One store may lose what it acknowledged only where that is on two. */
function diskFaultsOf(seed: number, minInSync: number): FaultName[] {
  const own = new Chance(seed ^ 0xd15c)
  if (!own.happens(0.4)) return []
  const drawn = DISK_FAULTS.filter((fault) => own.happens(fault === 'drop-records' ? 0.8 : 0.5))
  return minInSync > 1 ? drawn : drawn.filter((fault) => fault !== 'drop-records' && fault !== 'distrust')
}

function faultsOf(
  chance: Chance,
  { seed, minInSync, voters }: { readonly seed: number; readonly minInSync: number; readonly voters: number },
): FaultName[] {
  // One store may be lost only where every acknowledged write is on two.
  const mayWipe = (fault: FaultName): boolean => minInSync > 1 || !fault.startsWith('wipe')
  const first = FAULTS.slice(0, FIRST_FAULTS).filter((fault) => {
    if (!mayWipe(fault) || (voters > 1 && fault.startsWith('wipe'))) return false
    return chance.happens(0.5)
  })
  const own = new Chance(seed ^ 0xfa017)
  const rest: FaultName[] = FAULTS.slice(FIRST_FAULTS).filter(() => own.happens(0.25))
  const others = VOTER_FAULTS.filter((fault) => mayWipe(fault) && voters > 1 && own.happens(0.5))
  const faults = [...first, ...rest, ...others, ...diskFaultsOf(seed, minInSync)]
  return faults.length === 0 ? ['crash-one'] : faults
}
