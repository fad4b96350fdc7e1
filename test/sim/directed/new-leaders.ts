import { leaseExpiryMs } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { Stage } from './stage.ts'

/** How long a new leader may take until it has outwaited every lease, named other primaries, and those serve. */
const TAKEOVER_MS = 4 * leaseExpiryMs()

/**
 * A primary dies, and with it the only voter, which is back at once: it never heard of the primary, and has to outwait a
 * lease that it did not give in this life.
 */
export function primaryDiesWithVoter(): readonly Violation[] {
  const stage = new Stage().movePrimaryFromVoter()
  const { primary, voter } = stage
  primary.crash({ powerLoss: false })
  voter.crash({ powerLoss: false })
  voter.start()
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}

/** A primary dies, and with it another node, which leads control: the next leader never heard of the primary. */
export function primaryDiesWithLeader(): readonly Violation[] {
  const stage = Stage.where(({ primary, leader }) => primary !== leader, { nodes: 5, voters: 5 })
  const { primary, leader } = stage
  primary.crash({ powerLoss: false })
  leader.crash({ powerLoss: false })
  return stage.expect('writes go on', stage.nextWrites(), TAKEOVER_MS).finish()
}
