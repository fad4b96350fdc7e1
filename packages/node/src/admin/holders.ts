import { type Holder, type StoreId, secondOf, type VolumeRecord } from '@ashlar/proto'
import { describeMs } from './contact.ts'
import { nodeName } from './health.ts'
import {
  type HeldVolumeResponse,
  type HolderResponse,
  type LocalHolderResponse,
  localHolderSchema,
} from './holder-schemas.ts'
import type { NodeView } from './node-view.ts'
import type { FetchPeer } from './peers.ts'

/** What the leader of control knows of the sessions that hold volumes, by session. */
export type HeardHolders = ReadonlyMap<number, LocalHolderResponse>

export function localHolders(view: NodeView): LocalHolderResponse[] {
  return view.holders().map(({ session, owner = null, heardMsAgo, through = null }) => {
    return { session, owner, heardMsAgo: heardMsAgo === undefined ? null : Math.round(heardMsAgo), through }
  })
}

/** Requests from the leader what it heard of. Nothing where it does not respond, or is of an older version. */
export async function requestHeard(view: NodeView, fetchPeer: FetchPeer): Promise<HeardHolders> {
  return new Map((await holdersOfLeader(view, fetchPeer)).map((holder) => [holder.session, holder]))
}

async function holdersOfLeader(view: NodeView, fetchPeer: FetchPeer): Promise<LocalHolderResponse[]> {
  if (view.leader === undefined) return []
  if (view.leader === view.store) return localHolders(view)
  const node = view.map.nodes.get(view.leader)
  if (node === undefined || !view.hears(node.store)) return []
  try {
    return localHolderSchema.array().parse(await fetchPeer(node.api, '/v1/local/holders'))
  } catch {
    return []
  }
}

/** The holders of a volume, with what the leader knows of them. */
export function holdersOf(
  view: NodeView,
  { holders }: VolumeRecord,
  heard: HeardHolders = new Map(),
): HolderResponse[] {
  return holders.map((holder) => holderResponse(view, holder, heard.get(holder.session)))
}

/** One row for each session and volume. */
export function heldVolumes(
  volumes: readonly { readonly name: string; readonly holders: readonly HolderResponse[] }[],
): HeldVolumeResponse[] {
  return volumes.flatMap(({ name, holders }) => holders.map((holder) => ({ volume: name, ...holder })))
}

function holderResponse(view: NodeView, holder: Holder, heard: LocalHolderResponse | undefined): HolderResponse {
  const { session, client, mode, since } = holder
  const through = heard?.through ?? null
  return {
    ...{ session, client, mode, owner: heard?.owner ?? null, lastHeardMs: heard?.heardMsAgo ?? null },
    since: since === undefined ? null : secondOf(since),
    through: through === null ? null : nodeName(view.map, through as StoreId),
  }
}

/** A holder as a part of a sentence. */
export function describeHolder({ client, mode, since, lastHeardMs, through }: HolderResponse): string {
  const heard = lastHeardMs === null ? '' : `, last heard of ${describeMs(lastHeardMs)} ago`
  const over = lastHeardMs === null || through === null ? '' : ` through ${through}`
  return `${client} (${mode})${since === null ? '' : ` since ${since}`}${heard}${over}`
}
