import { FEATURE_LEVEL } from '@ashlar/proto'
import type { Violation } from '../checkers/report.ts'
import { Chance } from '../world/chance.ts'
import { NotFollowed, Stage } from './stage.ts'

/**
 * A replica loses power, and when its store is opened again synced records are missing: it is suspect. It leaves the
 * set, is compared and counts again; then the primary dies. Of the two that are left it has the lower id, and must not
 * lead.
 */
export function droppedRecords(): readonly Violation[] {
  const stage = Stage.where(
    ({ primary, replica, voter }) => primary !== voter && replica.disk.store < voter.disk.store,
    // At level 1 the store is trusted again once it was compared (A2.17-4).
    { minInSync: 2, builds: [0, 0, 0] },
  )
  const { primary, replica, world } = stage
  const { disk } = replica
  disk.rememberWrites()
  stage.run(600)
  replica.crash({ powerLoss: true })
  if (!disk.dropWrites(new Chance(1))) throw new NotFollowed('there was nothing to drop')
  replica.start()
  stage.until('it is compared', () => disk.suspicion.size === 0)
  stage.until('it counts again', () => stage.record.inSync.includes(disk.store) && world.healed())
  primary.crash({ powerLoss: false })
  stage.run(8000)
  for (const node of world.nodes) {
    node.build = FEATURE_LEVEL
    node.crash({ powerLoss: false })
  }
  return stage.finish()
}

/** A voter's directory is lost: the store that took its place votes too, before the next loss would be one too many. */
export function lostVoter(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2 })
  const { leader, world } = stage
  const lost = world.nodes.find((node) => node !== leader && node.disk.store !== stage.record.primary.store)
  if (lost === undefined) throw new NotFollowed('every voter leads something')
  stage.replaceDisk(lost)
  return stage
    .expect('the new store votes', () => world.membership.current.voters.includes(lost.disk.store), 30_000)
    .finish()
}

/**
 * 1. A leader that is cut off adds a learner to its own log, in vain; the others elect one of themselves.
 * 2. It comes back: its entry is dropped, and the change with it.
 * 3. It leads again, and takes snapshots, which name the members.
 */
export function changeCutOff(): readonly Violation[] {
  const stage = new Stage({ voters: 3, nodes: 4, log: { snapshotEntries: 4, trailingEntries: 40 } })
  const { leader, world } = stage
  const others = world.nodes.filter((node) => node !== leader)
  const learner = others.at(-1)
  if (learner === undefined) throw new NotFollowed('there is no fourth node')
  stage.until('every node is registered', () => world.checkers.truth.map.nodes.size === world.nodes.length)
  stage.cut(leader, ...others)
  leader.process?.admin({ do: 'change-members', change: 'add', store: learner.disk.store }, () => {})
  stage.until('the change is in its log', () => leader.disk.log.members?.learners.length === 1)
  stage.until('another leads', () => others.some(({ process }) => process?.leads === true))
  // A process that goes on would ask the next leader for the change, which would come about all the same.
  if (leader.process !== undefined) for (const { name } of others) world.network.breakAll(leader.process, name)
  leader.crash({ powerLoss: false })
  leader.start()
  stage.heal().until('the change is dropped', () => leader.disk.log.members?.learners.length === 0)
  const successor = others.find(({ process }) => process?.leads === true)
  successor?.process?.admin({ do: 'transfer-leadership', store: leader.disk.store }, () => {})
  stage.until('it leads again', () => leader.process?.leads === true)
  for (const node of others.slice(0, 1)) {
    node.crash({ powerLoss: false })
    node.start()
  }
  return stage.run(8000).finish()
}

/**
 * A node is away while control, of one voter, gets a second one, which leads from then on. The voter that the node knew
 * says that it does not lead, and must not be all that it ever asks (seed 1417 with one voter).
 */
export function awayWhileControlMoved(): readonly Violation[] {
  const stage = new Stage({ raft: true, nodes: 4 }).movePrimaryFromVoter()
  const { voter, world } = stage
  const [second, away] = world.nodes.filter((node) => node !== voter && node !== stage.primary)
  if (second === undefined || away === undefined) throw new NotFollowed('there are not enough nodes')
  const { store } = second.disk
  away.crash({ powerLoss: false })
  const ask = (command: Parameters<NonNullable<typeof voter.process>['admin']>[0]) =>
    voter.process?.admin(command, () => {})
  ask({ do: 'change-members', change: 'add', store })
  stage.until('it learns', () => world.membership.current.learners.includes(store)).run(1000)
  ask({ do: 'change-members', change: 'promote', store })
  stage.until('it votes', () => world.membership.current.voters.includes(store))
  ask({ do: 'transfer-leadership', store })
  stage.until('it leads', () => second.process?.leads === true)
  away.start()
  return stage.expect('the node registers', () => registered(world, away), 5000).finish()
}

function registered({ checkers }: Stage['world'], { disk }: Stage['voter']): boolean {
  return checkers.truth.map.nodes.get(disk.store)?.incarnation.counter === disk.identity.counter
}

/**
 * 1. One voter is cut off while the two others commit entries; then the one of them that does not lead loses its log.
 * 2. The leader is away. The other two are a majority, and neither has those entries: they must not elect a leader.
 * 3. The leader is back, and leads or follows one that has them; the lost log is filled.
 */
export function lostControlLog(): readonly Violation[] {
  const stage = new Stage({ voters: 3, minInSync: 2 })
  const { leader, world } = stage
  const [loser, late] = world.nodes.filter((node) => node !== leader)
  if (loser === undefined || late === undefined) throw new NotFollowed('there are not enough voters')
  stage.cut(late, leader, loser)
  stage.until('it is out of the set', () => !stage.record.inSync.includes(late.disk.store))
  stage.until('the others have more', () => loser.disk.log.lastIndex > late.disk.log.lastIndex)
  loser.crash({ powerLoss: false })
  leader.crash({ powerLoss: false })
  loser.disk.log.lose()
  loser.start()
  stage.heal().run(8000)
  leader.start()
  return stage
    .expect('the log is filled', () => loser.disk.log.hardState?.recovering !== true && stage.hasLeader, 8000)
    .finish()
}
