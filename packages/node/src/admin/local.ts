import { errorCodeOf, FEATURE_LEVEL, type Voter } from '@ashlar/proto'
import type { SpaceView } from '../storage/index.ts'
import type { NodeView, PeerStatus } from './node-view.ts'
import type { PeerResponse } from './peer-schema.ts'
import type { LocalExtentResponse, LocalResponse, SpaceResponse } from './schemas.ts'
import { endResponse } from './why-ended.ts'

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
    peers: peersOf(view),
  }
}

function peersOf(view: NodeView): PeerResponse[] {
  const named = new Map([...view.map.nodes.values()].map(({ address, name }) => [address, name as string]))
  return view.peers().map((status) => peerResponse(status, named.get(status.address)))
}

function peerResponse(status: PeerStatus, name: string | undefined): PeerResponse {
  const { address, state, since, checkedAt, detail, peer, refusal, lastLink, reported } = status
  return {
    ...{ address, node: name ?? peer?.name ?? null, state, since: momentOf(since), checkedAt: momentOf(checkedAt) },
    ...{ detail, pid: peer?.pid ?? null },
    refusal: refusal === undefined ? null : refusalResponse(refusal),
    lastLink: lastLink === undefined ? null : { endedAt: momentOf(lastLink.endedAt), reason: lastLink.reason },
    reported: reported === undefined ? null : endResponse(reported),
  }
}

function refusalResponse({ at, by, code, words }: NonNullable<PeerStatus['refusal']>): PeerResponse['refusal'] {
  const refusing = by === 'this side' ? ('this node' as const) : ('the peer' as const)
  return { at: momentOf(at), by: refusing, code: errorCodeOf(code) ?? String(code), words }
}

function momentOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
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
