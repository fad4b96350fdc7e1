import { FEATURE_LEVEL } from '@ashlar/proto'
import { nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import type { LocalResponse } from './schemas.ts'

/**
 * Whom the feature level of the cluster waits for (amendment 24), one clause each: nodes of the map that know less than this one,
 * and those that could not be asked. Empty once the level is the highest that this build knows.
 */
export function levelWaitsFor({ map }: NodeView, locals: PeerResponses<LocalResponse>): string[] {
  if (map.featureLevel >= FEATURE_LEVEL) return []
  const nodes = [...map.nodes.keys()].filter((store) => !map.gone.has(store))
  const named = nodes.map((store) => ({ name: nodeName(map, store), answer: locals.get(store) }))
  // The map has its nodes in the order in which they registered, which is another one in each cluster.
  named.sort((a, b) => a.name.localeCompare(b.name))
  return named.flatMap(({ name, answer }) => {
    if (answer?.answered !== true)
      return [`${name}, which does not answer: start it, or declare it lost (\`ashlar node lost ${name}\`)`]
    const { featureLevel } = answer.value
    return featureLevel >= FEATURE_LEVEL ? [] : [`${name}, whose build knows level ${featureLevel}: upgrade it`]
  })
}
