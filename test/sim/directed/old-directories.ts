import type { Violation } from '../checkers/report.ts'
import type { Disk } from '../world/disk.ts'
import { copyOf, type DiskCopy, putStoreBack } from '../world/disk-copy.ts'
import { NO_LOG } from '../world/log-image.ts'
import type { NodeHost } from '../world/node-host.ts'
import { NotFollowed, Stage } from './stage.ts'

/**
 * 1. The primary is stopped, its directory is copied, and it is started again; some time later it leads again.
 * 2. Every node stops. The copy is put back, and all are started on the same boot: the start counter of that store is
 *    the one of the incarnation that led, and it has forgotten that it did. It must be refused, and must not begin the
 *    epoch of that incarnation a second time; another one leads. Started again it is suspect, and counts again only
 *    when it was compared.
 */
export function storeRolledBack(): readonly Violation[] {
  const stage = Stage.where(
    ({ primary, record, voter }) =>
      !record.assigned.includes(voter.disk.store) && primary.disk.store === record.assigned.toSorted()[0],
    { nodes: 4, minInSync: 2 },
  )
  const { primary, world } = stage
  const copy = stopForCopy(primary)
  stage.until('another leads, and it is in sync', () => stage.primary !== primary && world.healed())
  const between = stage.primary
  between.shutDown()
  stage.until('it leads again', () => stage.primary === primary && world.healed()).run(2000)
  for (const node of world.nodes) node.crash({ powerLoss: false })
  putStoreBack(primary.disk, copy)
  for (const node of world.nodes) node.start()
  stage.run(4000)
  if (isKnown(stage, primary)) world.checkers.violation('rolled-back', `${primary.name} is trusted`)
  stage.expect('another leads', () => stage.primary !== primary && world.checkers.serving.serves(stage.record), 4000)
  primary.crash({ powerLoss: false })
  primary.start()
  stage.expect('it is known again', () => isKnown(stage, primary), 4000)
  if (world.checkers.truth.map.nodes.get(primary.disk.store)?.trust !== 'suspect')
    world.checkers.violation('rolled-back', `${primary.name} is not suspect in its next incarnation`)
  return stage.run(4000).finish()
}

/**
 * A second process runs over a copy of a node's directory, on the same machine and boot and with the same start
 * counter. It is refused, and the store that it was copied from goes on; in its next incarnation that one is compared.
 */
export function twoCopiesAtOnce(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2 }).movePrimaryFromVoter()
  const { replica, world } = stage
  replica.crash({ powerLoss: false })
  const twin = replica.twin('twin')
  replica.start()
  stage.until('it is back', () => isKnown(stage, replica) && world.healed())
  twin.start()
  stage.run(4000)
  if (twin.process?.refused !== true) world.checkers.violation('rolled-back', 'the copy is not refused')
  if (!isKnown(stage, replica)) world.checkers.violation('rolled-back', 'the copy took the place of its original')
  twin.crash({ powerLoss: false })
  replica.crash({ powerLoss: false })
  replica.start()
  return stage.run(4000).finish()
}

/** The control log of a voter is put back, without what lies beside it. */
export function controlLogRolledBack(): readonly Violation[] {
  return voterForgets(({ log }, { disk }) => disk.log.putBack(log, false))
}

/** All that a voter has on its disk is put back, on the same boot. */
export function voterRolledBack(): readonly Violation[] {
  return voterForgets((copy, { disk }) => putAllBack(disk, copy))
}

/** The same, to what it had before it kept a control log. */
export function voterRolledBackToNoLog(): readonly Violation[] {
  return voterForgets((copy, { disk }) => putAllBack(disk, { ...copy, log: NO_LOG }))
}

/**
 * 1. A voter is stopped, its directory is copied, and it is started again. One voter is cut off while the two others
 *    commit entries, all in one term.
 * 2. `putBack` brings the copy back. The leader is away: the voter that was cut off and the one that forgot are a
 *    majority, and neither has those entries. They must not elect a leader.
 * 3. The leader is back, and the log is filled.
 */
function voterForgets(putBack: (copy: DiskCopy, voter: NodeHost) => void): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2 })
  const { leader, world } = stage
  const [loser, late] = world.nodes.filter((node) => node !== leader)
  if (loser === undefined || late === undefined) throw new NotFollowed('there are not enough voters')
  const copy = stopForCopy(loser)
  stage.until('it is in sync again', () => world.healed()).cut(late, leader, loser)
  stage.until('it is out of the set', () => !stage.record.inSync.includes(late.disk.store))
  stage.until('the others have more', () => loser.disk.log.lastIndex > late.disk.log.lastIndex)
  if (copy.log.hardState?.term !== loser.disk.log.hardState?.term) throw new NotFollowed('the term has changed')
  loser.crash({ powerLoss: false })
  leader.crash({ powerLoss: false })
  putBack(copy, loser)
  loser.start()
  stage.heal().run(8000)
  leader.start()
  stage.expect('the log is filled', () => loser.disk.log.hardState?.recovering !== true && stage.hasLeader, 8000)
  startUntilKnown(stage, loser)
  return stage.finish()
}

/**
 * The directory of a cluster's only voter is put back, on the same boot. No other store has what it forgot, so that it
 * must not start. The newer one is put back in its turn, and the cluster goes on.
 */
export function loneVoterRolledBack(): readonly Violation[] {
  const stage = new Stage({ voters: 1, minInSync: 2 })
  const { voter, world } = stage
  const copy = stopForCopy(voter)
  stage.until('it is in sync again', () => world.healed()).run(2000)
  voter.crash({ powerLoss: false })
  const newer = copyOf(voter.disk)
  putAllBack(voter.disk, copy)
  voter.start()
  if (voter.up) world.checkers.violation('rolled-back', 'the only voter starts over an older copy of its directory')
  stage.run(4000)
  if (voter.up) return stage.finish()
  putAllBack(voter.disk, newer)
  voter.disk.incomplete.clear()
  voter.start()
  return stage.run(4000).finish()
}

/** The store, the control log and what lies beside it. */
function putAllBack(disk: Disk, copy: DiskCopy): void {
  putStoreBack(disk, copy)
  disk.log.putBack(copy.log, true)
}

/** An operator starts it again for as long as control refuses it. */
function startUntilKnown(stage: Stage, node: NodeHost): void {
  for (let times = 0; times < 3 && node.process?.refused === true; times++) {
    node.crash({ powerLoss: false })
    node.start()
    stage.run(4000)
  }
}

/** What an operator keeps of a node that is stopped for it. */
function stopForCopy(node: NodeHost): DiskCopy {
  node.crash({ powerLoss: false })
  const copy = copyOf(node.disk)
  node.start()
  return copy
}

/** Control knows the incarnation that runs over this disk, and not only its start counter. */
function isKnown({ world }: Stage, { disk, process }: NodeHost): boolean {
  const bootId = world.checkers.truth.map.nodes.get(disk.store)?.incarnation.bootId
  return bootId !== undefined && bootId === process?.bootId
}
