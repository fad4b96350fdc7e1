import { type Bytes, GIB, KIB, MIB } from '@ashlar/proto'

/** One cluster with one loaded volume. */
export interface GrowthCase {
  /** What it differs in from the others of its axis, for people: `10 GiB`. */
  readonly label: string
  readonly nodes: number
  readonly replicas: number
  readonly sizeBytes: Bytes
  readonly blockSizeBytes: Bytes
  /** Undefined: what a volume of this size gets by itself. */
  readonly extentSizeBytes: Bytes | undefined
  /** Idle volumes beside the loaded one. */
  readonly idleVolumes: number
  /** Connections that share the load. */
  readonly connections: number
}

export interface Axis {
  readonly cases: readonly GrowthCase[]
  readonly jobs: readonly string[]
}

const RANDOM_4K = ['randwrite-4k-qd32', 'randread-4k-qd32']
const RANDOM_64K = ['randwrite-64k-qd16', 'randread-64k-qd16']

/**
 * By the name that chooses it on the command line, in the order in which they are measured; cases from the smallest on.
 */
export const AXIS_NAMES = ['size', 'extents', 'volumes', 'replicas', 'blocks', 'connections'] as const
export type AxisName = (typeof AXIS_NAMES)[number]

/** What grows, with its unit. */
export const AXIS_TITLES: Readonly<Record<AxisName, string>> = {
  size: 'size of the volume, GiB',
  extents: 'extents of one volume of 64 GiB',
  volumes: 'volumes, the load on one',
  replicas: 'replicas, each on a node of its own',
  blocks: 'block size D, KiB',
  connections: 'connections that share the same load',
}

/**
 * All axes around one case: a volume that is as large as its working set, three replicas on three nodes, blocks of 4
 * KiB, one connection. Where the volume is larger, the blocks of the working set lie all over it, as far from each
 * other as they can.
 */
export function axesOf(workingSetBytes: Bytes): Readonly<Record<AxisName, Axis>> {
  const plain: GrowthCase = {
    label: '',
    nodes: 3,
    replicas: 3,
    sizeBytes: workingSetBytes,
    blockSizeBytes: 4 * KIB,
    extentSizeBytes: undefined,
    idleVolumes: 0,
    connections: 1,
  }
  const cases = <T>(values: readonly T[], of: (value: T) => Partial<GrowthCase>): GrowthCase[] =>
    values.map((value) => ({ ...plain, label: `${value}`, ...of(value) }))
  return {
    size: {
      cases: cases([1, 10, 100], (gib) => ({ sizeBytes: gib * GIB })),
      jobs: RANDOM_4K,
    },
    extents: {
      cases: cases([4 * GIB, 256 * MIB, 16 * MIB], (extentSizeBytes) => {
        const sizeBytes = 64 * GIB
        return { label: `${sizeBytes / extentSizeBytes}`, sizeBytes, extentSizeBytes }
      }),
      jobs: RANDOM_4K,
    },
    volumes: {
      cases: cases([1, 10, 100, 1000], (volumes) => ({ idleVolumes: volumes - 1 })),
      jobs: RANDOM_4K,
    },
    replicas: {
      cases: cases([1, 2, 3, 4, 5], (replicas) => ({ replicas, nodes: replicas })),
      jobs: RANDOM_4K,
    },
    blocks: {
      cases: cases([4, 16, 64], (kibibytes) => ({ blockSizeBytes: kibibytes * KIB })),
      jobs: [...RANDOM_4K, ...RANDOM_64K],
    },
    connections: {
      cases: cases([1, 2, 4, 8, 16], (connections) => ({ connections })),
      jobs: RANDOM_4K,
    },
  }
}

/** Size of an idle volume: one extent. */
export const IDLE_VOLUME_BYTES: Bytes = 16 * MIB
