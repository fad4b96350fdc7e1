import type { ClusterResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addCommonOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

export function clusterInfo({ io }: Verb): Command {
  const command = new Command('info').description('health of the cluster on one screen')
  addCommonOptions(command)
  examples(command, [
    'ashlar cluster info',
    'ashlar cluster info -o json',
    'ashlar cluster info --server http://n2:7480',
  ])
  return command.action(async () => {
    const { api, format } = sessionOf(io, command)
    const cluster = await api.cluster()
    printOne(io, format, cluster, {
      name: cluster.cluster ?? '',
      describe: () => describeCluster(cluster),
    })
  })
}

/** One line, and one more for each node that keeps the level from rising. A node of an older build does not report it. */
function describeLevel({ featureLevel = 0, featureLevelWaitsFor = [] }: ClusterResponse): string | readonly string[] {
  if (featureLevelWaitsFor.length === 0) return String(featureLevel)
  return [`${featureLevel}, waits for`, ...featureLevelWaitsFor]
}

function describeCluster(cluster: ClusterResponse): string {
  const { notResponding = [] } = cluster
  const { healthy, recovering, degraded, unavailable } = cluster.extents
  const fields: (readonly [string, string | readonly string[]])[] = [
    ['State', cluster.state],
    ['Nodes', `${cluster.nodesUp} of ${cluster.nodes} up, leader of control: ${cluster.leader ?? 'none'}`],
    ['Voters', cluster.voters.join(', ') || 'none yet'],
    ['Volumes', String(cluster.volumes)],
    [
      'Extents',
      `${healthy} healthy, ${recovering} recovering, ${degraded} degraded, ${unavailable} unavailable; ` +
        `${cluster.behindBlocks} blocks to copy`,
    ],
    ['Cluster', `${cluster.cluster ?? 'none yet'}, map revision ${cluster.mapRevision}`],
    ['Feature level', describeLevel(cluster)],
  ]
  if (cluster.reasons.length > 0) fields.push(['Why', cluster.reasons])
  if (notResponding.length > 0) fields.push(['No response from', notResponding.join(', ')])
  if (cluster.insecure.length > 0) {
    fields.push(['Insecure', cluster.insecure.map(({ node, option, address }) => `${node} ${option} ${address}`)])
  }
  return formatFields(fields)
}
