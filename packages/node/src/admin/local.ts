import { FEATURE_LEVEL, type Voter } from '@ashlar/proto'
import type { SpaceView } from '../storage/index.ts'
import type { NodeView } from './node-view.ts'
import type { LocalExtentResponse, LocalResponse, SpaceResponse } from './schemas.ts'

/** What a node reports of itself alone, without requests to others. */
export function localResponse(view: NodeView): LocalResponse {
  const { readiness } = view
  return {
    id: view.name,
    store: view.store,
    pid: process.pid,
    version: view.version,
    dataDir: view.dataDir,
    labels: { ...view.labels },
    ready: readiness.ready,
    reason: readiness.ready ? '' : readiness.reason,
    leaseHeld: view.leaseHeld,
    mapRevision: view.map.revision,
    featureLevel: FEATURE_LEVEL,
    insecure: view.insecure.map(({ option, address }) => ({ option, address })),
    suspicion: view.suspicion ?? null,
    space: spaceResponse(view.space),
    control: controlOf(view),
  }
}

function spaceResponse({ space, freeBytes, since, reserves }: SpaceView): SpaceResponse {
  return { level: space, freeBytes, since: new Date(since).toISOString(), reserves: { ...reserves } }
}

function controlOf({ controlLog }: NodeView): LocalResponse['control'] {
  if (controlLog === undefined) return null
  const { role, recovering, term, lastIndex, commit, applied, snapshotIndex, diskWaitedMs, members } = controlLog
  const ids = (voters: readonly Voter[]) => voters.map(({ store }) => store)
  const { voters, learners } = members
  const held = { term, lastIndex, commit, applied, snapshotIndex, diskWaitedMs }
  return { role, recovering, ...held, voters: ids(voters), learners: ids(learners) }
}

/** Every extent that the store holds, or those of one volume. */
export function localExtentResponses(view: NodeView, volume?: string): LocalExtentResponse[] {
  const extents = view.localExtents()
  const wanted =
    volume === undefined ? extents : extents.filter(({ extent }) => view.map.locate(extent)?.volume.name === volume)
  return wanted.map(({ reconciling, streams, ...extent }) => ({
    ...extent,
    streams: streams.map((stream) => ({ ...stream })),
    reconciling: reconciling?.map((source) => ({ ...source })) ?? null,
  }))
}
