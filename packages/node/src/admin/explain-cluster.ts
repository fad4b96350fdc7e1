import type { Evidence } from './cluster-report.ts'
import { contactOf } from './contact.ts'
import { counted, unique } from './plurals.ts'
import { volumesFrom } from './reports.ts'
import type { ClusterResponse, ExplanationResponse } from './schemas.ts'

/** The whole cluster, as `cluster info` reports it. */
export function explainCluster({ view, locals, extents }: Evidence, cluster: ClusterResponse): ExplanationResponse {
  const { lost } = contactOf(view)
  const volumes = lost === undefined && view.map.cluster !== undefined ? volumesFrom(view, locals, extents) : []
  return {
    kind: 'cluster',
    name: cluster.cluster ?? 'none',
    state: cluster.state,
    problems: cluster.reasons,
    because: becauseOf(cluster),
    waitsFor: unique([
      ...(lost?.waitsFor ?? []),
      ...volumes.flatMap(({ causes }) => causes.flatMap((cause) => cause.waitsFor)),
    ]),
    todo: cluster.todo,
  }
}

function becauseOf(cluster: ClusterResponse): string[] {
  const { voters, votersResponding, majority, nodes, nodesUp, mapIsCurrent, extents } = cluster
  const voting = `${votersResponding.length} of ${counted(voters.length, 'voter')} respond, and control needs ${majority}`
  if (!mapIsCurrent) return voters.length === 0 ? [] : [voting]
  const { healthy, recovering, degraded, unavailable, unknown } = extents
  const total = healthy + recovering + degraded + unavailable + unknown
  return [
    `${nodesUp} of ${counted(nodes, 'node')} ${nodesUp === 1 ? 'is' : 'are'} up`,
    voting,
    `${healthy} of ${counted(total, 'extent')} in ${counted(cluster.volumes, 'volume')} ${healthy === 1 ? 'is' : 'are'} healthy`,
  ]
}
