import { type StoreId, TIMERS } from '@ashlar/proto'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'
import { startNode } from './todo.ts'

interface HangingDisk {
  readonly problem: string
  readonly todo: readonly string[]
}

/** A disk that does not complete writes to control's log (amendment 28); undefined where it does, or none is pending. */
export function hangingDisk(
  view: NodeView,
  locals: PeerResponses<LocalResponse>,
  store: StoreId,
): HangingDisk | undefined {
  const answer = locals.get(store)
  if (answer?.answered !== true || answer.value.control === null) return undefined
  const { id, pid, control } = answer.value
  const { diskWaitedMs, voters } = control
  if (diskWaitedMs <= TIMERS.logSlowMs) return undefined
  const alone = voters.length === 1 && voters[0] === store
  const meaning = alone
    ? 'it is the only voter, so control decides nothing until it does; `ashlar cluster membership` adds voters'
    : 'another voter leads meanwhile, if the disks of a majority work'
  return {
    problem: `its disk has not completed a write to control's log for ${Math.round(diskWaitedMs / 1000)} s: ${meaning}`,
    todo: [
      `see which threads of ${id} wait for its disk (STAT D): ps -L -o lwp,stat,wchan -p ${pid}`,
      `repair the disk of ${id}, or its connection: the node goes on without a restart once the disk responds`,
      `if the disk never responds again: kill -KILL ${pid}; give ${id} another disk, then ${startNode(view, id)}`,
    ],
  }
}
