import type { Evidence } from './cluster-report.ts'
import { contactOf } from './contact.ts'
import { counted, share, unique } from './plurals.ts'
import { volumesFrom } from './reports.ts'
import type { ClusterResponse, ExplanationResponse } from './schemas.ts'

/** The whole cluster, as `cluster info` reports it. */
export function explainCluster(
  { view, locals, extents, heard }: Evidence,
  cluster: ClusterResponse,
): ExplanationResponse {
  const { lost } = contactOf(view)
  const volumes = lost === undefined && view.map.cluster !== undefined ? volumesFrom(view, locals, extents, heard) : []
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
  const voting = `${share(votersResponding.length, voters.length, 'voter', 'responds', 'respond')}, and control needs ${majority}`
  if (!mapIsCurrent) return voters.length === 0 ? [] : [voting]
  const { healthy, recovering, degraded, unavailable, unknown } = extents
  const total = healthy + recovering + degraded + unavailable + unknown
  return [
    share(nodesUp, nodes, 'node', 'is up', 'are up'),
    voting,
    `${share(healthy, total, 'extent', 'is healthy', 'are healthy')}, in ${counted(cluster.volumes, 'volume')}`,
  ]
}
