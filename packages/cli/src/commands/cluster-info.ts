import type { ClusterResponse } from '@ashlar/node/config'
import { counted } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'
import { holderLine } from './holder-text.ts'

export function clusterInfo({ io }: Verb): Command {
  const command = new Command('info').description('health of the cluster on one screen')
  addClusterOptions(command)
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

/** A node of an older build reports neither which voters respond nor what to do. */
function describeCluster(cluster: ClusterResponse): string {
  const { notResponding = [], todo = [], mapIsCurrent = true } = cluster
  const { healthy, recovering, degraded, unavailable, unknown = 0 } = cluster.extents
  const fields: (readonly [string, string | readonly string[]])[] = [
    ['State', cluster.state],
    ...(cluster.reasons.length === 0 ? [] : [['Problem', cluster.reasons] as const]),
    [
      'Nodes',
      `${cluster.nodesUp} of ${cluster.nodes} ${mapIsCurrent ? 'up' : 'respond'}, leader of control: ${cluster.leader ?? 'none'}`,
    ],
    ['Voters', describeVoters(cluster)],
    ['Volumes', String(cluster.volumes)],
    [
      'Extents',
      `${healthy} healthy, ${recovering} recovering, ${degraded} degraded, ${unavailable} unavailable` +
        `${unknown === 0 ? '' : `, ${unknown} unknown`}; ${counted(cluster.behindBlocks, 'block')} to copy`,
    ],
    ['Holders', describeHolders(cluster)],
    ['Cluster', `${cluster.cluster ?? 'none yet'}, map revision ${cluster.mapRevision}`],
    ['Feature level', describeLevel(cluster)],
  ]
  if (notResponding.length > 0) fields.push(['No response from', notResponding.join(', ')])
  if (cluster.insecure.length > 0) {
    fields.push(['Insecure', cluster.insecure.map(({ node, option, address }) => `${node} ${option} ${address}`)])
  }
  if (todo.length > 0) fields.push(['To do', todo])
  return formatFields(fields)
}

/** Lines of holders on the screen of the whole cluster. */
const MOST_HOLDERS = 8

function describeHolders({ holders = [] }: ClusterResponse): string | readonly string[] {
  if (holders.length === 0) return 'none'
  const shown = holders.slice(0, MOST_HOLDERS).map((holder) => `${holder.volume}: ${holderLine(holder)}`)
  const more = holders.length - shown.length
  return more === 0 ? shown : [...shown, `and ${more} more: ashlar gateway ls`]
}

function describeVoters({ voters, votersResponding = voters, majority = 0 }: ClusterResponse): string {
  if (voters.length === 0) return 'none yet'
  const silent = voters.filter((voter) => !votersResponding.includes(voter))
  if (silent.length === 0) return voters.join(', ')
  return `${voters.join(', ')}; no response from ${silent.join(', ')}, and control needs ${majority} of ${voters.length}`
}
