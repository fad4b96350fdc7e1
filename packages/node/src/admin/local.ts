import { FEATURE_LEVEL, type Voter } from '@ashlar/proto'
import type { NodeView } from './node-view.ts'
import { spaceResponse } from './room.ts'
import type { LocalExtentResponse, LocalResponse } from './schemas.ts'

/** What a node says of itself alone, without asking anyone. */
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
    room: spaceResponse(view.room),
    control: controlOf(view),
  }
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
  return wanted.map(({ merging, ...extent }) => ({
    ...extent,
    streams: extent.streams.map((stream) => ({ ...stream })),
    merging: merging?.map((source) => ({ ...source })) ?? null,
  }))
}
