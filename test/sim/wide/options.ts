import { FEATURE_LEVEL, LIMITS } from '@ashlar/proto'
import { BLOCK_BYTES, type FaultName, optionsOf, type SimulationOptions } from '../options.ts'
import { type Chance, shareOf } from '../world/chance.ts'
import { WIDE_FAULTS, WIDE_PHASES, type WideFaultName, type WidePhaseName } from './shares.ts'

/** Some options drawn again, from a source that nothing else draws from. */
type Redraw = (options: SimulationOptions, own: Chance) => SimulationOptions

/**
 * Options of wide seeds, in this order. This is the place where new ones are registered. Each draws from a source of
 * its own, named by its key, so that another line changes no other draw; it asks `own.happens(share)` first if it is on
 * in a share only.
 */
const REDRAWS: Readonly<Record<string, Redraw>> = {
  replicas: drawReplicas,
  blocks: drawBlocks,
  reads: drawReads,
  store: drawStore,
  extents: drawExtents,
  lines: drawLines,
  ioTimeouts: drawTimeouts,
  sessions: (options, own) => ({ ...options, shortSessions: own.happens(0.1) }),
  cuts: (options, own) => ({ ...options, longCuts: own.happens(0.6) }),
  builds: drawBuilds,
  recovery: drawRecovery,
}

/** Faults that may be on only where every acknowledged write is on two stores. */
const NEED_TWO: readonly FaultName[] = ['wipe', 'wipe-sole', 'wipe-voter', 'drop-records', 'distrust']

/** As many as are meant by many extents. */
const EXTENTS = 64

/** Faults that change what is on a disk by the simulator's own image of it, which a shipped store does not read. */
const OWN_IMAGE: readonly FaultName[] = ['drop-records', 'distrust', 'store-back', 'directory-back']

/**
 * The options of a seed of the wide family: those of the same seed of the first family, with some drawn again and
 * with faults and phases that the first family does not have.
 */
export function wideOptionsOf(seed: number, voters?: number): SimulationOptions {
  let options = optionsOf(seed, voters)
  for (const [name, redraw] of Object.entries(REDRAWS)) options = redraw(options, shareOf(seed, name))
  const faults = namesOf<WideFaultName>(seed, WIDE_FAULTS)
  const phases = namesOf<WidePhaseName>(seed, WIDE_PHASES)
  const all = [...options.faults, ...faults]
  const possible = options.shippedStore ? all.filter((fault) => !OWN_IMAGE.includes(fault)) : all
  return { ...options, wide: true, faults: possible, phases }
}

function namesOf<Name extends string>(seed: number, shares: Readonly<Record<string, number>>): Name[] {
  const names = Object.entries(shares).filter(([name, share]) => shareOf(seed, name).happens(share))
  return names.map(([name]) => name as Name)
}

/** M from 1 to 5 with every legal minInSync, mostly one that lets a minority of the replicas be away. */
function drawReplicas(options: SimulationOptions, own: Chance): SimulationOptions {
  const replicas = own.pick([1, 2, 3, 3, 3, 5])
  const minInSync = own.happens(0.85) ? own.integer(1, Math.ceil(replicas / 2)) : own.integer(1, replicas)
  const nodes = Math.max(options.nodes, replicas) + (own.happens(0.3) ? 1 : 0)
  const faults = options.faults.filter((fault) => minInSync > 1 || !NEED_TWO.includes(fault))
  return { ...options, replicas, minInSync, nodes, faults: faults.length > 0 ? faults : ['crash-one'] }
}

/** From two blocks to so many that a copy takes several loads, and writes that are larger than one load of a copy. */
function drawBlocks(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.6)) return options
  const hotBytes = own.pick([2, 8, 40, 120, 200]) * BLOCK_BYTES
  const isAcross = options.sizeBytes > options.extentSizeBytes
  const hotOffset = isAcross ? options.extentSizeBytes - hotBytes / 2 : options.hotOffset
  const workload = {
    ...options.workload,
    mostBlocks: own.pick([1, 3, 8, 40]),
    thinkMs: own.pick([5, 20, 60]),
  }
  return { ...options, hotOffset, hotBytes, sizeBytes: Math.max(options.sizeBytes, hotOffset + hotBytes), workload }
}

function drawReads(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.4)) return options
  const slow = { slowPerRead: own.between(0.02, 0.2), slowReadMs: own.pick([50, 600, 3000]) }
  return { ...options, disk: { ...options.disk, ...slow } }
}

/**
 * The shipped store, most often under several writers of parts of few blocks, which is where a change that waits for
 * its batch meets a newer one and a merge.
 */
function drawStore(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.1)) return options
  if (own.happens(0.3)) return { ...options, shippedStore: true }
  const hotBytes = 2 * BLOCK_BYTES
  const isAcross = options.sizeBytes > options.extentSizeBytes
  const hotOffset = isAcross ? options.extentSizeBytes - BLOCK_BYTES : options.hotOffset
  const workload = { ...options.workload, depth: 4, thinkMs: 5, mostBlocks: 1, partialShare: 0.6, writeShare: 0.8 }
  return { ...options, shippedStore: true, sharing: 'shared', hotBytes, hotOffset, workload }
}

/**
 * Many small extents on six nodes, all of them at work: requests, set changes and releases of many extents travel
 * together.
 */
function drawExtents(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.05)) return options
  const extentSizeBytes = LIMITS.minExtentBytes
  const sizeBytes = EXTENTS * extentSizeBytes
  const layout = { sizeBytes, extentSizeBytes, hotOffset: 0, hotBytes: sizeBytes, hotStrideBytes: extentSizeBytes }
  const workload = { ...options.workload, depth: 8, thinkMs: 10, mostBlocks: 1 }
  return { ...options, ...layout, workload, nodes: Math.max(6, options.nodes) }
}

/**
 * Nodes send what is urgent over a lane of its own, so that it passes bulk and may be passed by it, and in half of
 * these seeds the way out of each host carries 100 Mbit/s. Else links are those of builds before amendment 36.
 */
function drawLines(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.6)) return options
  const rate = own.happens(0.5) ? { bytesPerMs: 12_500 } : {}
  return { ...options, network: { ...options.network, ...rate, lanes: true } }
}

/**
 * Some nodes begin with the build before this one, and are upgraded and sent back. Frames go through the codec, which
 * leaves out what the older one does not know.
 */
function drawBuilds(options: SimulationOptions, own: Chance): SimulationOptions {
  if (!own.happens(0.25)) return options
  const builds = Array.from({ length: options.nodes }, () => (own.happens(0.5) ? 0 : FEATURE_LEVEL))
  const network = { ...options.network, encoded: true }
  return { ...options, builds, network, faults: [...options.faults, 'change-build', 'change-build'] }
}

/** Volumes of which nothing is left, and stores of another kind, would only be in the way. */
function drawRecovery(options: SimulationOptions, own: Chance): SimulationOptions {
  const isPlain = !options.churn && !options.shortSessions && !options.shippedStore && options.builds === undefined
  return own.happens(0.3) && isPlain ? { ...options, recovery: true } : options
}

/**
 * Calls that time out while a failover goes on: what their outcome promises has to hold whichever store serves then.
 */
function drawTimeouts(options: SimulationOptions, own: Chance): SimulationOptions {
  return own.happens(0.4) ? { ...options, ioTimeoutMs: own.between(900, 3000) } : options
}
