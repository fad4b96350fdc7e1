import { isAtLeast, type StoreId } from '@ashlar/proto'
import { hangingDisk } from './hanging-disk.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, type PeerResponses, requestLocal } from './peers.ts'
import { counted, times } from './plurals.ts'
import { nodeReport } from './reports.ts'
import type { ExplanationResponse, LocalResponse } from './schemas.ts'
import { explainScrub } from './scrub.ts'
import { describeSpace, howToFreeSpace } from './space.ts'
import { describeSuspicion } from './suspicion.ts'
import { declareLost, readLog } from './todo.ts'

export async function explainNode(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [node, locals] = await Promise.all([nodeReport(view, name, fetchPeer), requestLocal(view, fetchPeer)])
  const store = node.store as StoreId
  const why = node.trust === 'suspect' ? `: ${describeSuspicion(locals, store)}` : ''
  const because = [
    `it holds ${counted(node.replicas, 'replica')}, ${node.inSync} of them in sync, and is primary of ${node.primaries}`,
    `its store ${node.store} was opened ${times(node.startCounter)} and is ${node.trust}${why}`,
  ]
  const problems: string[] = []
  const waits = /^waits for (.*)/.exec(node.reason)?.[1]
  const { space } = node
  const isShort = space !== null && isAtLeast(space.level, 'tight')
  if (space !== null) (isShort ? problems : because).push(`it ${describeSpace(space)}`)
  if (node.declaredLost)
    problems.push('it was declared permanently lost, and stays in the map while an extent has no other full copy')
  else if (node.state === 'down') problems.push('its lease ran out: control received no renewal from it')
  else if (waits === undefined && node.reason !== '') problems.push(node.reason)
  else if (waits !== undefined) problems.push('it is not ready')
  // Down, and yet it runs: control refuses it, or it does not reach control.
  if (node.state === 'down' && node.ready !== null && node.reason !== '')
    problems.push(`its process responds, and reports: ${node.reason}`)
  problems.push(...(node.whyDown?.because ?? []))
  const hanging = hangingDisk(view, locals, store)
  problems.push(...controlRecovery(locals, store))
  if (hanging !== undefined) problems.push(hanging.problem)
  if (locals.get(store)?.answered === true) {
    const scrub = await explainScrub(node.api, fetchPeer)
    because.push(...scrub.because)
    problems.push(...scrub.problems)
  }
  for (const volume of node.volumes) {
    if (volume.inSync === volume.replicas) continue
    const behind = volume.behindBlocks === null ? '' : `, ${counted(volume.behindBlocks, 'block')} behind`
    problems.push(`replicas of volume ${volume.name} in sync here: ${volume.inSync} of ${volume.replicas}${behind}`)
  }
  const isDown = node.state === 'down'
  return {
    kind: 'node',
    name: node.id,
    state: node.state,
    problems,
    because,
    waitsFor: waits === undefined ? [] : [waits],
    // One that is silent while its lease holds is treated like one that is down, but not declared lost.
    todo:
      node.whyDown !== null
        ? [...node.whyDown.todo, ...(isDown ? [declareLost(node.id)] : [])]
        : hanging !== undefined
          ? [...hanging.todo]
          : node.ready === false
            ? [readLog(view, node.id, 'which says why it is not ready')]
            : isShort
              ? howToFreeSpace(view, locals, [store])
              : [],
  }
}

/** A voter whose log was lost or damaged: what happened, and what it waits for. */
function controlRecovery(locals: PeerResponses<LocalResponse>, store: StoreId): string[] {
  const answer = locals.get(store)
  if (answer?.answered !== true || answer.value.control?.recovering !== true) return []
  return [
    "its copy of control's log was lost or damaged: it does not vote or lead until a leader that the other voters elect has restored it; if too few voters are left for that, see `ashlar cluster recover`",
  ]
}
