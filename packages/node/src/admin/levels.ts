import { FEATURE_LEVEL } from '@ashlar/proto'
import { nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'

/**
 * Nodes that keep the feature level of the cluster down (amendment 24), one clause each: those with a lower level than this
 * one, and those that did not respond. Empty once the level is the highest that this build supports.
 */
export function levelWaitsFor(view: NodeView, locals: PeerResponses<LocalResponse>): string[] {
  return levelsBelow(view, locals).map(({ name, level }) =>
    level === undefined
      ? `${name}, which does not respond: start it, or declare it lost (\`ashlar node lost ${name}\`)`
      : `${name}, whose build supports level ${level}: upgrade it`,
  )
}

/** The same nodes with the levels that they reported; undefined without a response. */
export function levelsBelow(
  { map }: NodeView,
  locals: PeerResponses<LocalResponse>,
): { readonly name: string; readonly level: number | undefined }[] {
  if (map.featureLevel >= FEATURE_LEVEL) return []
  const nodes = [...map.nodes.keys()].filter((store) => !map.gone.has(store))
  const named = nodes.map((store) => {
    const answer = locals.get(store)
    return { name: nodeName(map, store), level: answer?.answered === true ? answer.value.featureLevel : undefined }
  })
  // The map has its nodes in the order of registration, which differs from cluster to cluster.
  named.sort((a, b) => a.name.localeCompare(b.name))
  return named.filter(({ level }) => level === undefined || level < FEATURE_LEVEL)
}
