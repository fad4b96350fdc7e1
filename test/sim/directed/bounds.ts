import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Hand } from './hand.ts'
import { Stage } from './stage.ts'

/** Longer than it takes to end a session, its entry and the renewal of the primary included. */
const LAG_MS = 3000
const BLOCK = 5

/**
 * Some three hundred sessions share a volume for a moment each, and half of them are killed. However many control never
 * hears of again, one more finds a place, and stores remember those that hold the volume only (A5).
 */
export function sessionsComeAndGo(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2, shortSessions: true, sharing: 'takeover' })
  return stage.run(30_000).finish()
}

/**
 * 1. Two clients share the volume. A write of one is in flight to the primary for long.
 * 2. An operator ends that client's session, and gets the answer. The other one reads.
 * 3. The write arrives. What was read stays as it is.
 */
export function writeOfAnEndedSession(): readonly Violation[] {
  const blocks = { sizeBytes: 64 * BLOCK_BYTES, hotBytes: 2 * BLOCK_BYTES }
  const stage = new Stage({ voters: 3, minInSync: 2, ...blocks })
  stage.world.stopClients()
  stage.run(2000)
  const [ended, other] = [new Hand(stage, 0, 'shared'), new Hand(stage, 1, 'shared')]
  ended.write(BLOCK, 900)
  const { world, primary } = stage
  const [volume] = world.checkers.truth.map.volumes.values()
  const session = volume?.holders.findLast(({ client }) => client === ended.name)?.session
  world.network.setLag(ended.name, primary.name, LAG_MS)
  const late = ended.send(BLOCK, 901)
  stage.run(20)
  if (volume === undefined || session === undefined || !other.fence(volume.id, session))
    world.checkers.violation('liveness', 'the session could not be ended')
  const seen = other.read(BLOCK)
  stage.run(LAG_MS + 1000)
  ended.done(late)
  const now = other.read(BLOCK)
  if (now !== seen) world.checkers.violation('fenced-writer', `block ${BLOCK} is ${now}, after ${seen} was read`)
  if (other.write(BLOCK, 902) !== true) world.checkers.violation('liveness', 'the other session does not go on')
  world.network.setLag(ended.name, primary.name, 0)
  return stage.finish()
}

/**
 * A replica's node is away while volumes are made and removed: when it comes back it deletes what it has of them (A7).
 */
export function removedWhileAway(): readonly Violation[] {
  const stage = new Stage({ nodes: 4, voters: 1, raft: true, minInSync: 1, churn: true })
  const { replica, world } = stage
  const made = (): number => world.checkers.truth.map.lastVolume
  const churned = (): number => [...replica.disk.replicas.keys()].length
  stage.until('it holds a replica of a volume that will be removed', () => churned() > 1)
  replica.crash({ powerLoss: false })
  const before = made()
  stage.until('volumes are made and removed', () => made() >= before + 6)
  return stage.finish()
}
