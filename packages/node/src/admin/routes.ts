import {
  AshlarError,
  type ExtentId,
  extentLengthBytes,
  MIB,
  type NewVolume,
  newVolume,
  newVolumeProblem,
} from '@ashlar/proto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { clusterReport } from './cluster-report.ts'
import { explain } from './explain.ts'
import { localExtentResponses, localResponse } from './local.ts'
import type { NodeView } from './node-view.ts'
import type { FetchPeer } from './peers.ts'
import { extentReports, nodeReport, nodeReports, volumeNamed, volumeReport, volumeReports } from './reports.ts'
import {
  BLOCK_KIND_NAMES,
  type CreateVolumeRequest,
  clusterSchema,
  createVolumeSchema,
  errorSchema,
  explanationSchema,
  extentSchema,
  localExtentSchema,
  localSchema,
  nodeDetailsSchema,
  nodeSchema,
  type VersionsResponse,
  versionsSchema,
  volumeSchema,
} from './schemas.ts'

const errors = { '4xx': errorSchema, '5xx': errorSchema }
const byName = z.object({ name: z.string() })

/** Everything about the cluster that the command line uses. */
export function clusterRoutes(view: NodeView, fetchPeer: FetchPeer): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/cluster',
      { schema: { summary: 'Health on one screen', response: { 200: clusterSchema, ...errors } } },
      () => clusterReport(view, fetchPeer),
    )
    server.get(
      '/v1/nodes',
      { schema: { summary: 'Nodes and what each holds', response: { 200: nodeSchema.array(), ...errors } } },
      () => nodeReports(view, fetchPeer),
    )
    server.get(
      '/v1/nodes/:id',
      {
        schema: {
          summary: 'One node, by name or store id, with what it reports of itself',
          params: z.object({ id: z.string() }),
          response: { 200: nodeDetailsSchema, ...errors },
        },
      },
      (request) => nodeReport(view, request.params.id, fetchPeer),
    )
    server.get(
      '/v1/explain/cluster',
      {
        schema: {
          summary: 'Why the cluster is in its state, what is wrong, what to do',
          response: { 200: explanationSchema, ...errors },
        },
      },
      () => explain(view, 'cluster', '', fetchPeer),
    )
    for (const kind of ['volume', 'node'] as const) {
      server.get(
        `/v1/explain/${kind}/:name`,
        {
          schema: {
            summary: `Why a ${kind} is in its state, what it waits for, what to do`,
            params: byName,
            response: { 200: explanationSchema, ...errors },
          },
        },
        (request) => explain(view, kind, request.params.name, fetchPeer),
      )
    }
    server.get(
      '/v1/explain/extent/:name/:number',
      {
        schema: {
          summary: 'Why an extent of a volume is in its state, what it waits for, what to do',
          params: z.object({ name: z.string(), number: z.coerce.number().int().min(0) }),
          response: { 200: explanationSchema, ...errors },
        },
      },
      (request) => explain(view, 'extent', `${request.params.name}/${request.params.number}`, fetchPeer),
    )
  }
}

export function volumeRoutes(view: NodeView, fetchPeer: FetchPeer): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/volumes',
      { schema: { summary: 'Volumes', response: { 200: volumeSchema.array(), ...errors } } },
      () => volumeReports(view, fetchPeer),
    )
    server.post(
      '/v1/volumes',
      {
        schema: {
          summary: 'Create a volume',
          body: createVolumeSchema,
          response: { 201: volumeSchema, ...errors },
        },
      },
      async (request, reply) => {
        await view.admin({ do: 'create-volume', ...completed(request.body) })
        return reply.code(201).send(await volumeReport(view, request.body.name, fetchPeer))
      },
    )
    server.get(
      '/v1/volumes/:name',
      { schema: { summary: 'One volume', params: byName, response: { 200: volumeSchema, ...errors } } },
      (request) => volumeReport(view, request.params.name, fetchPeer),
    )
    server.delete(
      '/v1/volumes/:name',
      {
        schema: {
          summary: 'Remove a volume and its data permanently; CONFLICT while a client has it open',
          params: byName,
          response: { 204: z.null(), ...errors },
        },
      },
      async (request, reply) => {
        volumeNamed(view, request.params.name)
        await view.admin({ do: 'remove-volume', name: request.params.name })
        return reply.code(204).send(null)
      },
    )
    server.get(
      '/v1/volumes/:name/extents',
      {
        schema: {
          summary: 'Extents with primary, epoch and the standing of each replica',
          params: byName,
          response: { 200: extentSchema.array(), ...errors },
        },
      },
      (request) => extentReports(view, request.params.name, fetchPeer),
    )
  }
}

/** A volume with its defaults. Throws USAGE for what no volume can be. */
function completed(request: CreateVolumeRequest): NewVolume {
  const volume = newVolume(request)
  const problem = newVolumeProblem(volume)
  if (problem !== undefined) throw new AshlarError('USAGE', `volume ${volume.name}: ${problem}`)
  return volume
}

/** Bytes of blocks that one response of versions reads at most: they are in memory while they are verified. */
const VERIFIED_BYTES = 16 * MIB
const VERIFIED_BLOCKS = 4096

/** What this node reports of itself alone. Other nodes request it to complete their responses. */
export function localRoutes(view: NodeView): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/local',
      { schema: { summary: 'This node itself', response: { 200: localSchema, ...errors } } },
      () => localResponse(view),
    )
    server.get(
      '/v1/local/extents',
      {
        schema: {
          summary: 'Extents that this store holds, with their streams where it is primary',
          querystring: z.object({ volume: z.string().optional() }),
          response: { 200: localExtentSchema.array(), ...errors },
        },
      },
      (request) => localExtentResponses(view, request.query.volume),
    )
    server.get(
      '/v1/local/extents/:id/versions',
      {
        schema: {
          summary: 'Versions of blocks, each read and verified now',
          params: z.object({ id: z.coerce.number().int().min(0) }),
          querystring: z.object({ firstBlock: z.coerce.number().int().min(0).default(0) }),
          response: { 200: versionsSchema, ...errors },
        },
      },
      (request) => versionsResponse(view, request.params.id as ExtentId, request.query.firstBlock),
    )
  }
}

async function versionsResponse(view: NodeView, extent: ExtentId, firstBlock: number): Promise<VersionsResponse> {
  const found = view.map.locate(extent)
  if (found === undefined) throw new AshlarError('NOT_FOUND', `the map has no extent ${extent}`)
  const { blockSizeBytes } = found.volume
  const blockCount = Math.ceil(extentLengthBytes(found.volume, found.index) / blockSizeBytes)
  const asked = Math.max(1, Math.min(VERIFIED_BLOCKS, Math.floor(VERIFIED_BYTES / blockSizeBytes)))
  const blocks = Math.max(0, Math.min(asked, blockCount - firstBlock))
  const versions = await view.versions(extent, firstBlock, blocks)
  if (versions === undefined) throw new AshlarError('NOT_FOUND', `this node has no replica of extent ${extent}`)
  return {
    extent,
    blocks: versions.map(({ kind, ...version }) => ({ ...version, kind: BLOCK_KIND_NAMES[kind] })),
    nextBlock: firstBlock + blocks < blockCount ? firstBlock + blocks : null,
  }
}
