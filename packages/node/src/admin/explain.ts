import { clusterFrom, evidenceOf } from './cluster-report.ts'
import { controlTodo } from './cluster-todo.ts'
import { type Contact, contactOf, timeOf } from './contact.ts'
import { explainCluster } from './explain-cluster.ts'
import { explainExtent } from './explain-extent.ts'
import { explainNode } from './explain-node.ts'
import { explainVolume } from './explain-volume.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, type PeerResponses, requestLocal } from './peers.ts'
import { unique } from './plurals.ts'
import type { ExplanationResponse, LocalResponse } from './schemas.ts'
import { complete, WAIT_FOR_COPIES } from './todo.ts'

/**
 * Why the cluster, a volume, an extent (`VOLUME/NUMBER`) or a node is in its state, what is wrong, what it waits for, and what
 * an operator can do. A node that is cut off from control says since when, and what ends that, before anything else.
 */
export async function explain(
  view: NodeView,
  kind: ExplanationResponse['kind'],
  name: string,
  fetchPeer: FetchPeer,
): Promise<ExplanationResponse> {
  if (kind === 'cluster') {
    const evidence = await evidenceOf(view, fetchPeer)
    return explainCluster(evidence, clusterFrom(evidence))
  }
  const explanation = withAction(await explainPart(view, kind, name, fetchPeer))
  const contact = contactOf(view)
  const said =
    contact.lost === undefined ? explanation : asOfMap(view, contact, explanation, await requestLocal(view, fetchPeer))
  return { ...said, todo: complete(view, said.todo) }
}

async function explainPart(
  view: NodeView,
  kind: Exclude<ExplanationResponse['kind'], 'cluster'>,
  name: string,
  fetchPeer: FetchPeer,
): Promise<ExplanationResponse> {
  switch (kind) {
    case 'volume':
      return await explainVolume(view, name, fetchPeer)
    case 'extent':
      return await explainExtent(view, name, fetchPeer)
    case 'node':
      return await explainNode(view, name, fetchPeer)
  }
}

/** Nothing that is wrong is left without an action. */
function withAction(explanation: ExplanationResponse): ExplanationResponse {
  const { kind, state, problems, waitsFor, todo } = explanation
  const isWell = problems.length === 0 && (state === 'healthy' || state === 'up')
  if (isWell || todo.length > 0) return explanation
  const mends = state === 'recovering' || waitsFor.length > 0 || kind === 'node'
  return { ...explanation, todo: [mends ? WAIT_FOR_COPIES : 'see what is wrong elsewhere: ashlar explain cluster'] }
}

/** The same explanation where the map it was made of may be old: nothing of it is said of the present. */
function asOfMap(
  view: NodeView,
  contact: Contact,
  explanation: ExplanationResponse,
  locals: PeerResponses<LocalResponse>,
): ExplanationResponse {
  const at = view.mapAgeMs === undefined ? 'when its map was current' : `at ${timeOf(view.mapAgeMs)}`
  const { kind, problems, because, todo } = explanation
  return {
    ...explanation,
    problems: unique([contact.lost?.problem ?? '', ...problems]),
    because: because.map((line) => `${at}: ${line}`),
    waitsFor: [...(contact.lost?.waitsFor ?? [])],
    // What a node reports of itself is of the present, also now.
    todo: unique([...controlTodo(view, contact, locals), ...(kind === 'node' ? todo : [])]),
  }
}
