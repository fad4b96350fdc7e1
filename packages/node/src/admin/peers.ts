import { AshlarError, type ExtentId, isDialable, type NodeRecord, type StoreId, TIMERS } from '@ashlar/proto'
import type { z } from 'zod'
import type { Progress, ProgressOf } from './health.ts'
import { localExtentResponses, localResponse } from './local.ts'
import type { NodeView } from './node-view.ts'
import { type LocalExtentResponse, type LocalResponse, localExtentSchema, localSchema } from './schemas.ts'

/** Gets JSON from the API of another node. Rejects on a timeout or a refusal. */
export type FetchPeer = (api: string, path: string) => Promise<unknown>

/** What one node reported of itself, or why it did not respond. */
type PeerResponse<T> =
  | { readonly answered: true; readonly value: T }
  | { readonly answered: false; readonly reason: string }

/**
 * One response for each node of the map that should respond, by store. Nodes that this node receives no frames from get no
 * request, so that no report waits for them; one that is down and heard could not register.
 */
export type PeerResponses<T> = ReadonlyMap<StoreId, PeerResponse<T>>

/**
 * For a node whose frames arrive, but whose API does not respond. Long enough for a busy node, short enough for an
 * interactive command; the report names the nodes that are missing.
 */
const PEER_TIMEOUT_MS = 1500

/** `FetchPeer` over HTTP. */
export const fetchPeer: FetchPeer = async (api, path) => {
  // The address comes from another node and becomes part of a URL here.
  if (!isDialable(api)) throw new AshlarError('USAGE', 'it is not an address')
  // An API never redirects: a server that does is no node, and must not direct this one elsewhere.
  const options = { signal: AbortSignal.timeout(PEER_TIMEOUT_MS), redirect: 'error' } as const
  const response = await fetch(`http://${api}${path}`, options)
  if (!response.ok) throw new Error(`status ${response.status}`)
  return await response.json()
}

export async function requestLocal(view: NodeView, fetchPeer: FetchPeer): Promise<PeerResponses<LocalResponse>> {
  return await requestAll(view, () => localResponse(view), localSchema, '/v1/local', fetchPeer)
}

/** Extents of one volume, or of all. */
export async function requestLocalExtents(
  view: NodeView,
  fetchPeer: FetchPeer,
  volume?: string,
): Promise<PeerResponses<LocalExtentResponse[]>> {
  const path = volume === undefined ? '/v1/local/extents' : `/v1/local/extents?volume=${encodeURIComponent(volume)}`
  return await requestAll(view, () => localExtentResponses(view, volume), localExtentSchema.array(), path, fetchPeer)
}

async function requestAll<T>(
  view: NodeView,
  own: () => T,
  schema: z.ZodType<T>,
  path: string,
  fetchPeer: FetchPeer,
): Promise<PeerResponses<T>> {
  // A store without an address was replaced by another one: it gets no request and is not reported as missing.
  const nodes = [...view.map.nodes.values()].filter(
    ({ store, state, address }) => address !== '' && (state !== 'down' || store === view.store || view.hears(store)),
  )
  const responses = await Promise.all(
    nodes.map(async (node): Promise<readonly [StoreId, PeerResponse<T>]> => {
      const { store, api } = node
      if (store === view.store) return [store, { answered: true, value: own() }]
      if (!view.hears(store))
        return [store, { answered: false, reason: 'no request was sent: this node receives nothing from it' }]
      try {
        return [store, { answered: true, value: schema.parse(await requestWhileHeard(view, node, path, fetchPeer)) }]
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        return [store, { answered: false, reason: `its API at ${api} did not respond: ${reason}` }]
      }
    }),
  )
  return new Map(responses)
}

/** Rejects as soon as no frames arrive from the node any more: it hangs, or it ended. */
async function requestWhileHeard(
  view: NodeView,
  { store, api }: NodeRecord,
  path: string,
  fetchPeer: FetchPeer,
): Promise<unknown> {
  const silent = Promise.withResolvers<never>()
  const timer = setInterval(() => {
    if (!view.hears(store)) silent.reject(new Error('this node receives nothing from it any more'))
  }, TIMERS.tickMs)
  try {
    return await Promise.race([fetchPeer(api, path), silent.promise])
  } finally {
    clearInterval(timer)
  }
}

/** What a store reported of an extent that it holds; undefined when it did not respond, or holds none of it. */
export function heldExtent(
  answers: PeerResponses<LocalExtentResponse[]>,
  store: StoreId,
  extent: ExtentId,
): LocalExtentResponse | undefined {
  const answer = answers.get(store)
  return answer?.answered === true ? answer.value.find((held) => held.extent === extent) : undefined
}

/** Looks progress up in what the nodes of the primaries reported. */
export function progressFrom(view: NodeView, answers: PeerResponses<LocalExtentResponse[]>): ProgressOf {
  const progress = new Map<number, Map<StoreId, Progress>>()
  for (const [store, answer] of answers) {
    if (!answer.answered) continue
    for (const extent of answer.value) {
      const record = view.map.extents.get(extent.extent as never)
      if (extent.role !== 'primary' || record?.primary.store !== store) continue
      progress.set(
        extent.extent,
        extent.reconciling === null ? progressOfStreams(extent) : progressOfReconcile(extent.reconciling),
      )
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
        // What differs is unknown until the two ends were compared.
        behindBlocks: KNOWING_PHASES.has(stream.phase) ? stream.behindBlocks : undefined,
        throttled: stream.throttled,
      },
    ]),
  )
}

function progressOfReconcile(sources: NonNullable<LocalExtentResponse['reconciling']>): Map<StoreId, Progress> {
  return new Map(
    sources.map(({ store, phase }) => [
      store as StoreId,
      { joining: false, behindBlocks: undefined, reconciling: phase },
    ]),
  )
}

/** Phases of a stream in which the replica catches up, or has done so and is about to be in sync. */
const JOINING_PHASES: ReadonlySet<string> = new Set(['comparing', 'copying', 'live'])
const KNOWING_PHASES: ReadonlySet<string> = new Set(['copying', 'live'])
