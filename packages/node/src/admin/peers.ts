import { AshlarError, type ExtentId, isDialable, type NodeRecord, type StoreId, TIMERS } from '@ashlar/proto'
import type { z } from 'zod'
import type { Progress, ProgressOf } from './health.ts'
import { localExtentResponses, localResponse } from './local.ts'
import type { NodeView } from './node-view.ts'
import { type LocalExtentResponse, type LocalResponse, localExtentSchema, localSchema } from './schemas.ts'

/** Gets JSON from the API of another node. Rejects when it does not come in time or is refused. */
export type FetchPeer = (api: string, path: string) => Promise<unknown>

/** What one node said of itself, or why it did not. */
export type PeerResponse<T> =
  | { readonly answered: true; readonly value: T }
  | { readonly answered: false; readonly reason: string }

/**
 * One answer for each node of the map that should answer, by store. Nodes that are down are not asked, nor are those that this
 * node does not hear: the rest need not wait for what would not come.
 */
export type PeerResponses<T> = ReadonlyMap<StoreId, PeerResponse<T>>

/**
 * For a node that is heard, but whose API does not answer. Long enough for a busy one, short enough that a person does not wonder:
 * what is missing is said to be missing.
 */
const PEER_TIMEOUT_MS = 1500

/** `FetchPeer` over HTTP. */
export const fetchPeer: FetchPeer = async (api, path) => {
  // What the map says is data of others, and a URL is made of it here.
  if (!isDialable(api)) throw new AshlarError('USAGE', 'it is not an address')
  // An API never redirects: what does is no node, and must not send this one elsewhere.
  const options = { signal: AbortSignal.timeout(PEER_TIMEOUT_MS), redirect: 'error' } as const
  const response = await fetch(`http://${api}${path}`, options)
  if (!response.ok) throw new Error(`status ${response.status}`)
  return await response.json()
}

export async function askLocal(view: NodeView, fetchPeer: FetchPeer): Promise<PeerResponses<LocalResponse>> {
  return await askAll(view, () => localResponse(view), localSchema, '/v1/local', fetchPeer)
}

/** Extents of one volume, or of all. */
export async function askLocalExtents(
  view: NodeView,
  fetchPeer: FetchPeer,
  volume?: string,
): Promise<PeerResponses<LocalExtentResponse[]>> {
  const path = volume === undefined ? '/v1/local/extents' : `/v1/local/extents?volume=${encodeURIComponent(volume)}`
  return await askAll(view, () => localExtentResponses(view, volume), localExtentSchema.array(), path, fetchPeer)
}

async function askAll<T>(
  view: NodeView,
  own: () => T,
  schema: z.ZodType<T>,
  path: string,
  fetchPeer: FetchPeer,
): Promise<PeerResponses<T>> {
  // Where another store took the place of one nobody is to be asked, and nobody is missed.
  const nodes = [...view.map.nodes.values()].filter(({ state, address }) => state !== 'down' && address !== '')
  const answers = await Promise.all(
    nodes.map(async (node): Promise<readonly [StoreId, PeerResponse<T>]> => {
      const { store, api } = node
      if (store === view.store) return [store, { answered: true, value: own() }]
      if (!view.hears(store))
        return [store, { answered: false, reason: 'it was not asked: this node hears nothing of it' }]
      try {
        return [store, { answered: true, value: schema.parse(await askWhileHeard(view, node, path, fetchPeer)) }]
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        return [store, { answered: false, reason: `its API at ${api} did not answer: ${reason}` }]
      }
    }),
  )
  return new Map(answers)
}

/** Rejects as soon as nothing is heard of the node any more: it hangs, or it is gone. */
async function askWhileHeard(
  view: NodeView,
  { store, api }: NodeRecord,
  path: string,
  fetchPeer: FetchPeer,
): Promise<unknown> {
  const silent = Promise.withResolvers<never>()
  const timer = setInterval(() => {
    if (!view.hears(store)) silent.reject(new Error('nothing is heard of it any more'))
  }, TIMERS.tickMs)
  try {
    return await Promise.race([fetchPeer(api, path), silent.promise])
  } finally {
    clearInterval(timer)
  }
}

/** What a store said of an extent that it holds; undefined when it did not answer, or holds none of it. */
export function heldExtent(
  answers: PeerResponses<LocalExtentResponse[]>,
  store: StoreId,
  extent: ExtentId,
): LocalExtentResponse | undefined {
  const answer = answers.get(store)
  return answer?.answered === true ? answer.value.find((held) => held.extent === extent) : undefined
}

/** Looks progress up in what the primaries' nodes said. */
export function progressFrom(view: NodeView, answers: PeerResponses<LocalExtentResponse[]>): ProgressOf {
  const progress = new Map<number, Map<StoreId, Progress>>()
  for (const [store, answer] of answers) {
    if (!answer.answered) continue
    for (const extent of answer.value) {
      const record = view.map.extents.get(extent.extent as never)
      if (extent.role !== 'primary' || record?.primary.store !== store) continue
      progress.set(extent.extent, extent.merging === null ? progressOfStreams(extent) : progressOfMerge(extent.merging))
    }
  }
  return (extent) => progress.get(extent)
}

function progressOfStreams(extent: Pick<LocalExtentResponse, 'streams'>): Map<StoreId, Progress> {
  return new Map(
    extent.streams.map((stream) => [
      stream.store as StoreId,
      {
        joining: JOINING_PHASES.has(stream.phase),
        // Before the two ends were compared nobody knows what differs.
        behindBlocks: KNOWING_PHASES.has(stream.phase) ? stream.behindBlocks : undefined,
        yields: stream.yields,
      },
    ]),
  )
}

function progressOfMerge(sources: NonNullable<LocalExtentResponse['merging']>): Map<StoreId, Progress> {
  return new Map(
    sources.map(({ store, phase }) => [store as StoreId, { joining: false, behindBlocks: undefined, merging: phase }]),
  )
}

/** Phases of a stream in which the replica is catching up, or has and is about to be counted. */
const JOINING_PHASES: ReadonlySet<string> = new Set(['comparing', 'copying', 'live'])
const KNOWING_PHASES: ReadonlySet<string> = new Set(['copying', 'live'])
