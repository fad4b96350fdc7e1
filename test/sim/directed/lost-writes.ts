import type { MachineEvent } from '@ashlar/node/core'
import { type Millis, TIMERS } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES, type SimulationOptions } from '../options.ts'
import type { NodeHost } from '../world/node-host.ts'
import { cloneOf } from '../world/recent-writes.ts'
import { Hand, type Handed } from './hand.ts'
import { Stage } from './stage.ts'

/**
 * Four nodes, of which the voter holds no replica. The schedules make their calls themselves, to blocks that no other
 * call uses.
 */
const FOUR: Partial<SimulationOptions> = {
  nodes: 4,
  minInSync: 2,
  sizeBytes: 64 * BLOCK_BYTES,
  hotBytes: 2 * BLOCK_BYTES,
}
/** A block that is to be copied, and the first of two blocks that are written meanwhile. */
const [LISTED, WRITTEN] = [1, 5]

function stageOf(options: Partial<SimulationOptions>): Stage {
  const stage = Stage.where((s) => !s.record.assigned.includes(s.voter.disk.store), { ...FOUR, ...options })
  stage.world.stopClients()
  return stage.run(2000)
}

/** Runs until a node says this of a stream of its extent. */
function untilSaid(stage: Stage, node: NodeHost, what: MachineEvent['what']): void {
  let said = false
  stage.world.checkers.onMachineEvent = (process, event) => {
    if (event.what === what && process.host === node.name) said = true
  }
  stage.until(`${node.name} says ${what}`, () => said, 5000)
}

/**
 * 1. The stream to a replica in sync is opened again. One block is on the list, and is slow to read.
 * 2. Writes of another block, and of two others at once, go out while that block is read.
 * 3. The primary dies before the copy is complete, and that replica leads.
 */
function primaryDiesWhileItCopies(stage: Stage, hand: Hand): Handed[] {
  const { primary, successor, world } = stage
  hand.write(WRITTEN, 900)
  hand.write(WRITTEN + 1, 910)
  successor.disk.extraSyncMs = 150
  world.network.breakAll(primary.process as never, successor.name)
  stage.run(120)
  primary.disk.extraReadMs = 400
  // One that has more than the store that will lead would be followed by it (amendment 26).
  for (const node of world.nodes)
    if (node !== primary && node !== successor && node !== stage.voter)
      world.network.setLag(primary.name, node.name, 3000)
  hand.send(LISTED, 901)
  stage.run(60)
  successor.disk.extraSyncMs = 0
  untilSaid(stage, primary, 'stream-compared')
  const written = [hand.send(WRITTEN, 777), hand.send(WRITTEN + 1, 778, 2)]
  stage.run(60)
  return written
}

function untilItLeads(stage: Stage, { disk }: NodeHost): void {
  const { serving } = stage.world.checkers
  const leads = () => stage.record.primary.store === disk.store && serving.serves(stage.record)
  stage.until('the replica leads', leads, 20_000)
}

/**
 * Two clients write. The writer of what went out meanwhile is away when the replica leads; the other one writes over
 * whatever it reads there, and has its answer. Then the first is back, and sends its writes again: they may not go over
 * what came since.
 */
export function retriedAfterPushes(): readonly Violation[] {
  const stage = stageOf({ sharing: 'shared' })
  const { primary, successor, world } = stage
  const [writer, other] = [new Hand(stage, 0, 'shared'), new Hand(stage, 1, 'shared')]
  const written = primaryDiesWhileItCopies(stage, writer)
  world.network.setCuts([{ side: new Set([writer.name]), oneWay: false }])
  primary.crash({ powerLoss: false })
  untilItLeads(stage, successor)
  const seen = [WRITTEN, WRITTEN + 1].map((block) => other.read(block))
  for (const block of [WRITTEN, WRITTEN + 1]) other.write(block, 880 + block)
  stage.heal()
  for (const call of written) writer.done(call)
  for (const [at, block] of [WRITTEN, WRITTEN + 1].entries()) {
    const now = other.read(block)
    // A write that was not read before may come after a later one; a write that was read came before it.
    if (seen[at] === 777 + at && now !== 880 + block)
      world.checkers.violation('linearizable', `block ${block} was read as ${seen[at]}, then as ${now}`)
  }
  return stage.finish()
}

/** The same with one client, whose deadline comes before its retry: the outcomes that it gets have to be true. */
export function cancelledAfterPushes(): readonly Violation[] {
  const stage = stageOf({ sharing: 'takeover', ioTimeoutMs: 1080 })
  const { primary, successor, world } = stage
  const [writer, reader] = [new Hand(stage, 0, 'exclusive'), new Hand(stage, 2, 'read-only')]
  const written = primaryDiesWhileItCopies(stage, writer)
  primary.crash({ powerLoss: false })
  untilItLeads(stage, successor)
  for (const [at, call] of written.entries()) {
    const outcome = writer.done(call)
    const now = reader.read(WRITTEN + at)
    if (outcome === undefined) break
    const never = !outcome.ok && outcome.failure.details?.['indeterminate'] === false
    if (never && now === 777 + at)
      world.checkers.violation('linearizable', `a write that never took effect is read: ${now}`)
    if (outcome.ok && now !== 777 + at) world.checkers.violation('linearizable', `after 777 + ${at}, ${now} is read`)
  }
  return stage.finish()
}

/** The primary is sent a write that names no attachment: the last one of a client, with another number. */
export function writeOfNoAttachment(): readonly Violation[] {
  const stage = new Stage()
  const { checkers } = stage.world
  const { nodeInput } = checkers
  let forge: (() => void) | undefined
  checkers.nodeInput = (node, input) => {
    nodeInput.call(checkers, node, input)
    if (input.type !== 'received' || input.message.type !== 'write') return
    const { link, message } = input
    const operation = { ...message.operation, op: message.operation.op + 500, generation: 0 }
    forge = () => node.run(() => node.messages(link, [{ ...message, request: message.request + 500_000, operation }]))
  }
  stage.until('a client writes', () => forge !== undefined)
  checkers.nodeInput = nodeInput
  forge?.()
  return stage.run(200).finish()
}

/**
 * The power fails on all nodes. One of the stores is without one write, and does not know it: not the last one, but the
 * last of which the others know that it is committed. It is there first, and is named.
 */
export function lastCommittedIsMissing(): readonly Violation[] {
  return oneIsMissing((_stage, hand) => hand.write(WRITTEN + 1, 902))
}

/** The same with the very last write, which was reported to them as committed when nothing more was written. */
export function lastWriteIsMissing(): readonly Violation[] {
  return oneIsMissing((stage) => stage.run(3000))
}

/** `andThen`: what comes between the write that is lost and the power cut. */
function oneIsMissing(andThen: (stage: Stage, hand: Hand) => unknown): readonly Violation[] {
  const stage = stageOf({ sharing: 'shared' })
  const { successor: liar, world } = stage
  const hand = new Hand(stage, 0, 'exclusive')
  hand.write(WRITTEN, 900)
  const { id } = stage.record
  const before = liar.disk.replicas.get(id)?.load(WRITTEN)
  hand.write(WRITTEN, 901)
  andThen(stage, hand)
  for (const node of world.nodes) node.crash({ powerLoss: true })
  if (before !== undefined) liar.disk.replicas.get(id)?.put(before)
  return liarIsNamed(stage, liar, hand, 901)
}

/**
 * The power fails on all nodes, after a while without writes. One of the stores is without its last batch, the last
 * write that was acknowledged, without knowing it; no store knows that this write was committed. That store is there
 * first, and is named.
 */
function shorterTailIsNamed(idleMs: Millis, lateMs: Millis): readonly Violation[] {
  const stage = stageOf({ sharing: 'shared' })
  const { successor: liar, world } = stage
  const hand = new Hand(stage, 0, 'exclusive')
  hand.write(WRITTEN, 900)
  const before = cloneOf(liar.disk.replicas)
  hand.write(WRITTEN, 901)
  stage.run(idleMs)
  for (const node of world.nodes) node.crash({ powerLoss: true })
  for (const [extent, image] of before) liar.disk.replicas.set(extent, image)
  return liarIsNamed(stage, liar, hand, 901, lateMs)
}

/** It takes the write from those that have it. */
export function shorterTailAtOnce(): readonly Violation[] {
  return [...shorterTailIsNamed(0, 400), ...shorterTailIsNamed(3000, 400)]
}

/**
 * They come when that store is alone in the set: it has to wait for one that was kept, and takes the write from there.
 */
export function shorterTailAlone(): readonly Violation[] {
  return shorterTailIsNamed(0, TIMERS.unregisteredGraceMs + 5000)
}

/**
 * The liar and control are there first; the others come once it is named. What was acknowledged last is read in the
 * end.
 */
function liarIsNamed(
  stage: Stage,
  liar: NodeHost,
  hand: Hand,
  acknowledged: number,
  lateMs: Millis = 400,
): readonly Violation[] {
  const { world, voter } = stage
  liar.start()
  voter.start()
  stage.run(lateMs)
  const { eligible } = stage.record
  for (const node of world.nodes) if (eligible.length === 0 || eligible.includes(node.disk.store)) node.start()
  stage.run(lateMs)
  for (const node of world.nodes) node.start()
  const serves = () => world.checkers.serving.serves(stage.record)
  stage.until('a store serves', serves, 20_000).run(2000)
  const now = hand.read(WRITTEN)
  if (!world.checkers.broken && now !== acknowledged)
    world.checkers.violation('linearizable', `${acknowledged} was acknowledged, then ${now} is read`)
  return stage.finish()
}
