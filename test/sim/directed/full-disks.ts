import type { Violation } from '../checkers/report.ts'
import { disksFor } from '../full-disks.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import type { SpaceOptions } from '../world/disk-space.ts'
import type { NodeHost } from '../world/node-host.ts'
import { Stage } from './stage.ts'

/** Blocks that clients work on, and more than that on every disk. */
const HOT_BLOCKS = 64
const SPACE = disksFor(HOT_BLOCKS, [2000, 2000, 2000])
/**
 * A store sees within a second that its disk filled up, and reports that within a tick and a frame; both with a margin.
 */
const SEEN_MS = 2000

/** No workload discards: nothing is written where nothing may be. */
const FULL = {
  minInSync: 2,
  sizeBytes: HOT_BLOCKS * BLOCK_BYTES,
  hotBytes: HOT_BLOCKS * BLOCK_BYTES,
  workload: {
    depth: 2,
    thinkMs: 60,
    writeShare: 0.8,
    partialShare: 0.2,
    discardShare: 0,
    mostBlocks: 1,
    flushEveryMs: 0,
  },
  space: SPACE,
} satisfies Partial<SimulationOptions>
const FEW = { ...FULL.workload, thinkMs: 600 }

/**
 * Every disk runs full at once (A2.16). Writers get NO_SPACE, no store leaves the set, nothing is written; then there
 * is space, and only the stores themselves can report it, since nothing is in flight that could be acknowledged.
 */
export function everyDiskFull(): readonly Violation[] {
  const stage = new Stage(FULL).run(3000)
  const { nodes, drivers, checkers } = stage.world
  const refused = (): number => drivers.reduce((sum, driver) => sum + (driver.failures.get('NO_SPACE') ?? 0), 0)
  for (const node of nodes) fill(node)
  stage.run(SEEN_MS).expect('writers get NO_SPACE', () => refused() >= 5, 1000)
  const { acknowledgements } = checkers.durability
  stage.run(10_000)
  const { inSync } = stage.record
  if (inSync.length < nodes.length || checkers.durability.acknowledgements > acknowledgements)
    checkers.violation('full-disk', `in sync are ${inSync.join(' ')}, and something was written without space`)
  for (const { disk } of nodes) disk.space?.releaseBuffer()
  return stage.run(SEEN_MS).expect('writes go on', stage.nextWrites(), 1000).finish()
}

/**
 * A replica was away, and its disk is full when it comes back. It stays out of the set, so that writes do not wait for
 * it; once there is room it gets what it lacks, by the same stream.
 */
export function fullReplicaReturns(): readonly Violation[] {
  // What waits for space must not be written again, which would bring it by another way.
  const stage = new Stage({ ...FULL, workload: FEW }).movePrimaryFromVoter().run(3000)
  const { replica, world } = stage
  stage.takeOut(replica)
  fill(replica)
  stage.run(SEEN_MS).heal().run(5000)
  const { refusals } = world.checkers.fullDisks
  stage.expect('writes go on without it', stage.nextWrites(), 3000)
  if (stage.record.inSync.includes(replica.disk.store) || world.checkers.fullDisks.refusals > refusals)
    world.checkers.violation('full-disk', 'a replica without space counts, or keeps others from being written')
  replica.disk.space?.releaseBuffer()
  return stage
    .run(SEEN_MS)
    .expect('it counts again', () => stage.record.inSync.includes(replica.disk.store), 1000)
    .finish()
}

/**
 * One member's disk is full, and stays so: it stays in the set, erasures go on, and all else is refused, by the primary
 * that it acknowledges to and by the one that takes over, which has to request it again. Work that new blocks would
 * come of without an end fills what is left of its disk otherwise.
 */
export function fullMember(): readonly Violation[] {
  const hotBytes = 2048 * BLOCK_BYTES
  const workload = { ...FULL.workload, thinkMs: 20, partialShare: 0, discardShare: 0.1 }
  const shape = { sizeBytes: hotBytes, hotBytes, space: disksFor(2048, [2048, 2048, 2048]) }
  const stage = new Stage({ ...FULL, ...shape, workload }).movePrimaryFromVoter().run(2000)
  const { replica, primary, world } = stage
  const { fullDisks } = world.checkers
  const goesOn = (): void => {
    const { refusals } = fullDisks
    stage.expect('erasures go on', stage.nextWrites(), 3000).run(8000)
    if (fullDisks.refusals < refusals + 100 || !stage.record.inSync.includes(replica.disk.store))
      world.checkers.violation('full-disk', `refused ${fullDisks.refusals - refusals}, ${world.describe()}`)
  }
  fill(replica, shape.space)
  stage.run(SEEN_MS)
  goesOn()
  const { epoch } = stage.record
  primary.crash({ powerLoss: false })
  stage.until('another primary', () => stage.record.epoch > epoch).run(SEEN_MS)
  goesOn()
  replica.disk.space?.releaseBuffer()
  return stage.run(SEEN_MS).expect('writes go on', stage.nextWrites(), 1000).finish()
}

/**
 * One of four disks is short of what new extents need: they are placed on the other three; and nowhere once two disks
 * are, as the answer to a query shows (A2.19).
 */
export function placedWhereThereIsSpace(): readonly Violation[] {
  // A store that has much to compact would free space by itself.
  const stage = new Stage({
    ...FULL,
    workload: FEW,
    nodes: 4,
    space: disksFor(HOT_BLOCKS, [2000, 2000, 2000, 2000]),
  }).run(1000)
  const { nodes, checkers } = stage.world
  const extents = [...checkers.truth.map.extents.keys()]
  const placed = () => [...checkers.truth.map.extents.values()].find(({ id }) => !extents.includes(id))
  const { placement, writes } = SPACE.reserves
  const [first, second] = [stage.primary, stage.replica]
  first.disk.space?.takeUpTo((placement + writes) / 2)
  stage.run(SEEN_MS)
  create(stage, 'second')
  stage.expect('a volume is made', () => placed() !== undefined, 2000)
  second.disk.space?.takeUpTo((placement + writes) / 2)
  stage.run(SEEN_MS)
  const refused = create(stage, 'third')
  stage.expect('the next one is refused', () => refused() === 'NO_SPACE', 2000)
  if (placed()?.assigned.includes(first.disk.store) !== false)
    checkers.violation('full-disk', `the extent is placed on ${placed()?.assigned.join(' ')}`)
  for (const { disk } of nodes) disk.space?.releaseBuffer()
  return stage.finish()
}

/** Asks for a volume. Gives the code that it is refused with, once it is. */
function create({ world }: Stage, name: string): () => string | undefined {
  let code: string | undefined
  const shape = { sizeBytes: BLOCK_BYTES, blockSizeBytes: BLOCK_BYTES, extentSizeBytes: 4096 * BLOCK_BYTES }
  const command = { do: 'create-volume', name, ...shape, replicas: 3, minInSync: 2 } as const
  world.clients[0]?.process.call({ do: 'admin', command }, (outcome) => {
    code = outcome.ok ? 'OK' : outcome.failure.code
  })
  return () => code
}

/** Something else takes the disk of a node, all but the better part of the last reserve. */
function fill({ disk }: NodeHost, { reserves }: SpaceOptions = SPACE): void {
  disk.space?.takeUpTo((reserves.last * 3) / 4)
}
