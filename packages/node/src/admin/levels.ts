import { FEATURE_LEVEL } from '@ashlar/proto'
import { nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'

/**
 * Nodes that keep the feature level of the cluster down (amendment 24), one clause each: those with a lower level than this
 * one, and those that did not respond. Empty once the level is the highest that this build supports.
 */
export function levelWaitsFor({ map }: NodeView, locals: PeerResponses<LocalResponse>): string[] {
  if (map.featureLevel >= FEATURE_LEVEL) return []
  const nodes = [...map.nodes.keys()].filter((store) => !map.gone.has(store))
  const named = nodes.map((store) => ({ name: nodeName(map, store), answer: locals.get(store) }))
  // The map has its nodes in the order of registration, which differs from cluster to cluster.
  named.sort((a, b) => a.name.localeCompare(b.name))
  return named.flatMap(({ name, answer }) => {
    if (answer?.answered !== true)
      return [`${name}, which does not respond: start it, or declare it lost (\`ashlar node lost ${name}\`)`]
    const { featureLevel } = answer.value
    return featureLevel >= FEATURE_LEVEL ? [] : [`${name}, whose build supports level ${featureLevel}: upgrade it`]
  })
}
