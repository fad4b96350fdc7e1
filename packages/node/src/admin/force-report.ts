import type { ExtentId, ExtentRecord, MapCopy, StoreId, VolumeRecord } from '@ashlar/proto'
import { extentIndexOf, isMissing } from '@ashlar/proto'
import { MISSING, nodeName } from './health.ts'
import type { ForceReport } from './loss-schemas.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, heldExtent, type PeerResponses, requestLocalExtents } from './peers.ts'
import { counted } from './plurals.ts'
import type { LocalExtentResponse } from './schemas.ts'

type Held = ForceReport['replica']

/** What a forced promotion may lose, as far as the stores that respond show (A2.10-2). */
export async function forceReport(
  view: NodeView,
  volume: VolumeRecord,
  record: ExtentRecord,
  store: StoreId,
  fetchPeer: FetchPeer,
): Promise<ForceReport> {
  const { map } = view
  const answers = await requestLocalExtents(view, fetchPeer, volume.name)
  const replica = heldBy(map, record.id, store, answers)
  const others = record.assigned
    .filter((other) => other !== store)
    .map((other) => heldBy(map, record.id, other, answers))
  const refusals = refusalsOf(map, record, store)
  return {
    extent: `${volume.name}/${extentIndexOf(record.id)}`,
    possible: refusals.length === 0,
    because: refusals.length > 0 ? refusals : [missingHolders(map, record)],
    mayBeLost: refusals.length > 0 ? [] : mayBeLost(map, volume, record, replica, others),
    replica,
    others,
  }
}

function heldBy(map: MapCopy, extent: ExtentId, store: StoreId, answers: PeerResponses<LocalExtentResponse[]>): Held {
  const held = heldExtent(answers, store, extent)
  return {
    node: nodeName(map, store),
    state: map.nodes.get(store)?.state ?? 'unknown',
    lastEpoch: held?.lastEpoch ?? null,
    lastSeq: held?.lastSeq ?? null,
    commitSeq: held?.commitSeq ?? null,
  }
}

/** What control will refuse, as far as this node's map shows; control decides. */
function refusalsOf(map: MapCopy, record: ExtentRecord, store: StoreId): string[] {
  const primary = map.nodes.get(record.primary.store)
  const refusals: string[] = []
  const stands = primary?.incarnation.counter === record.primary.counter && primary.trust === 'trusted'
  if (stands && primary.state !== 'down') refusals.push(`${primary.name} serves it: there is nothing to force`)
  if (!record.assigned.includes(store)) refusals.push(`${nodeName(map, store)} holds no replica of it`)
  if (map.nodes.get(store)?.state !== 'up') refusals.push(`${nodeName(map, store)} is not up`)
  return refusals
}

function missingHolders(map: MapCopy, record: ExtentRecord): string {
  if (isMissing(record)) return MISSING
  const holders = [...record.inSync, ...record.eligible].map((store) => nodeName(map, store))
  return `it has no primary: only ${holders.join(', ')} ${holders.length === 1 ? 'holds' : 'hold'} every acknowledged write`
}

function mayBeLost(
  map: MapCopy,
  volume: VolumeRecord,
  record: ExtentRecord,
  replica: Held,
  others: readonly Held[],
): string[] {
  if (isMissing(record))
    return [
      `everything that was ever written to the extent and is not on ${replica.node}, which may hold nothing of it`,
    ]
  const holders = [...record.inSync, ...record.eligible].map((store) => nodeName(map, store))
  const lines = [
    replica.lastSeq === null
      ? `${replica.node} did not report what it holds: everything ever written to the extent may be lost`
      : `the last write on ${replica.node} is epoch ${replica.lastEpoch}, seq ${replica.lastSeq}: every acknowledged write after it is lost permanently`,
  ]
  const known = others.flatMap(({ node, commitSeq }) => (commitSeq === null ? [] : [{ node, commitSeq }]))
  const most = known.sort((a, b) => b.commitSeq - a.commitSeq)[0]
  if (most !== undefined && most.commitSeq > (replica.lastSeq ?? 0))
    lines.push(`${most.node} knows that writes up to seq ${most.commitSeq} were acknowledged: with it less is lost`)
  else if (!holders.includes(replica.node))
    lines.push(
      `only ${holders.join(' or ')} knows how many those are, and no replica that responded has evidence of any`,
    )
  lines.push(
    `what ${holders.join(' and ')} held is overwritten once they are back: copy their data directories before that`,
  )
  if (volume.minInSync > 1)
    lines.push(
      `${counted(volume.minInSync, 'replica')} must be in sync before it is served again: others are filled from ${replica.node}`,
    )
  return lines
}
