import type { Violation } from '../checkers/report.ts'
import { BLOCK_BYTES } from '../options.ts'
import { Chance } from '../world/chance.ts'
import type { NodeHost } from '../world/node-host.ts'
import { NotFollowed, Stage } from './stage.ts'

/** So many blocks that most are not written in a second. */
const MANY_BLOCKS = { sizeBytes: 400 * BLOCK_BYTES, hotBytes: 400 * BLOCK_BYTES }

/** Power goes, and what was synced since its disk began to remember is there no more, or a part of it. */
function loseRecords(node: NodeHost): void {
  node.crash({ powerLoss: true })
  if (!node.disk.dropWrites(new Chance(1))) throw new NotFollowed('there was nothing to drop')
}

/**
 * A replica dropped synced records, and all that it holds has rotted under versions that are right. It is suspect, and reads
 * all its bytes before it counts again; of two replicas of which one only seems to be a copy there is one.
 */
export function rottenSuspect(): readonly Violation[] {
  const stage = new Stage({ minInSync: 2, ...MANY_BLOCKS }).movePrimaryFromVoter()
  const { replica, world } = stage
  const { disk } = replica
  stage.run(5000)
  disk.rememberWrites()
  stage.run(300)
  loseRecords(replica)
  for (const image of disk.replicas.values()) for (const { block } of image.blocks()) image.rot(block)
  replica.start()
  stage.until('it counts again', () => stage.record.inSync.includes(disk.store) && world.healed())
  const left = [...disk.replicas.values()].reduce((sum, { damaged }) => sum + damaged.size, 0)
  if (left > 0) world.checkers.violation('convergence', `${left} blocks of ${replica.name} are still rotten`)
  return stage.run(2000).finish()
}
