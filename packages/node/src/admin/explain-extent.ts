import { AshlarError, type ExtentId, isMissing, NO_INCARNATION, type StoreId } from '@ashlar/proto'
import { awaitedToReconcile, nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, requestLocal } from './peers.ts'
import { counted } from './plurals.ts'
import { extentReports } from './reports.ts'
import type { ExplanationResponse, ExtentResponse } from './schemas.ts'
import { howToFreeSpace, lowOnSpace } from './space.ts'
import { describeSuspicion } from './suspicion.ts'
import { declareLost } from './todo.ts'
import { mendDownNodes } from './why-down.ts'

export async function explainExtent(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [, volume, number] = /^(.+)\/(\d+)$/.exec(name) ?? []
  if (volume === undefined || number === undefined) {
    throw new AshlarError('USAGE', `"${name}" is not an extent`, { hint: 'write VOLUME/NUMBER, such as demo/0' })
  }
  const [extents, locals] = await Promise.all([extentReports(view, volume, fetchPeer), requestLocal(view, fetchPeer)])
  const extent = extents[Number(number)]
  if (extent === undefined) throw new AshlarError('NOT_FOUND', `volume ${volume} has no extent ${number}`)
  const record = view.map.extents.get(extent.id as ExtentId)
  const assigned = record?.assigned ?? []
  const short = lowOnSpace(view, locals, assigned)
  return {
    kind: 'extent',
    name,
    state: extent.state,
    problems: [...(extent.problem === '' ? [] : [extent.problem]), ...damageLines(extent), ...short],
    because: [
      ...(record !== undefined && isMissing(record)
        ? ['no node is known to have a replica of it that counts']
        : [
            `${extent.primary} has been its primary since epoch ${extent.epoch}`,
            ...forcedLines(view, extent.id as ExtentId),
            ...extent.replicas.map((replica) => `the replica on ${replica.node} is ${describeStanding(replica)}`),
          ]),
      ...assigned
        .filter((store) => view.map.nodes.get(store)?.trust === 'suspect')
        .map((store) => `the store of ${nodeName(view.map, store)} is suspect: ${describeSuspicion(locals, store)}`),
    ],
    waitsFor: [...extent.waitsFor],
    todo: [
      ...(extent.state === 'healthy'
        ? []
        : [
            ...mendDownNodes(view, locals),
            ...declareAwaited(view, extent.id as ExtentId),
            ...forceAnother(view, name, extent.id as ExtentId),
          ]),
      ...howToFreeSpace(view, locals, assigned),
    ],
  }
}

/** Damaged blocks without a good copy: reads of them fail, and copies of blocks that differ wait. */
function damageLines({ primary, damagedBlocks }: ExtentResponse): string[] {
  if (damagedBlocks === null || damagedBlocks === 0) return []
  return [
    `${counted(damagedBlocks, 'block')} on ${primary} ${damagedBlocks === 1 ? 'is' : 'are'} damaged, and no replica that responded has a good copy: it retries, and a write of the whole block repairs it`,
  ]
}

function forcedLines(view: NodeView, extent: ExtentId): string[] {
  const forced = view.map.forced.get(extent)
  if (forced === undefined) return []
  const known = forced.acknowledged ? 'this was acknowledged' : 'this is not acknowledged yet'
  const node = nodeName(view.map, forced.store)
  const how =
    forced.merged === true
      ? 'became primary to reconcile the suspect stores that were left,'
      : 'was made primary by force'
  return [`${node} ${how} in epoch ${forced.epoch}: acknowledged writes may be lost; ${known}`]
}

/** The last resort, where every replica with all acknowledged writes is down and another one is up. */
function forceAnother(view: NodeView, name: string, extent: ExtentId): string[] {
  const record = view.map.extents.get(extent)
  const isUp = (store: StoreId) => view.map.nodes.get(store)?.state === 'up'
  if (record === undefined) return []
  const waits = record.primary.counter !== NO_INCARNATION && [...record.inSync, ...record.eligible].some(isUp)
  if (waits) return []
  return record.assigned
    .filter(isUp)
    .map(
      (store) =>
        `see what a forced promotion would lose: ashlar extent force-primary ${name} --node ${nodeName(view.map, store)}`,
    )
}

/** A reconcile waits for stores that may never come back: an operator decides that. */
function declareAwaited({ map }: NodeView, extent: ExtentId): string[] {
  const record = map.extents.get(extent)
  return record === undefined ? [] : awaitedToReconcile(map, record).map((store) => declareLost(nodeName(map, store)))
}

function describeStanding({ standing, behindBlocks }: ExtentResponse['replicas'][number]): string {
  if (standing === 'in-sync') return 'in sync: it holds every acknowledged write'
  const behind =
    behindBlocks === null ? 'the number of blocks behind is unknown' : `${counted(behindBlocks, 'block')} behind`
  return standing === 'joining' ? `joining, ${behind}` : `out, ${behind}`
}
