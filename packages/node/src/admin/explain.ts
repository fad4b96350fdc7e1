import { explainExtent } from './explain-extent.ts'
import { explainNode } from './explain-node.ts'
import { explainVolume } from './explain-volume.ts'
import type { NodeView } from './node-view.ts'
import type { FetchPeer } from './peers.ts'
import type { ExplanationResponse } from './schemas.ts'

/** Why a volume, an extent (`VOLUME/NUMBER`) or a node is in its state, what it waits for, and what an operator can do. */
export async function explain(
  view: NodeView,
  kind: ExplanationResponse['kind'],
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
