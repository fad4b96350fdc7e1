import { AshlarError, type StoreId } from '@ashlar/proto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { forceReport } from './force-report.ts'
import { loseReport } from './lose-report.ts'
import {
  type ForceReport,
  forceReportSchema,
  forceRequestSchema,
  type LoseReport,
  loseReportSchema,
  loseRequestSchema,
} from './loss-schemas.ts'
import type { NodeView } from './node-view.ts'
import type { FetchPeer } from './peers.ts'
import { extentNumbered, extentReports, nodeNamed, volumeNamed, volumeReport } from './reports.ts'
import { type ExtentResponse, errorSchema, extentSchema, volumeSchema } from './schemas.ts'

const errors = { '4xx': errorSchema, '5xx': errorSchema }
const oneNode = z.object({ id: z.string() })
const oneExtent = z.object({ name: z.string(), number: z.coerce.number().int().min(0) })

/** Decisions that only an operator may take, because acknowledged writes may be lost. */
export function lossRoutes(view: NodeView, fetchPeer: FetchPeer): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/volumes/:name/extents/:number/force-primary/:id',
      {
        schema: {
          summary: 'What making a node primary of an extent by force may lose; changes nothing',
          params: oneExtent.extend({ id: z.string() }),
          response: { 200: forceReportSchema, ...errors },
        },
      },
      ({ params }) => reportForce(view, fetchPeer, params, params.id),
    )
    server.post(
      '/v1/volumes/:name/extents/:number/force-primary',
      {
        schema: {
          summary: 'Make a node primary of an extent that has no primary; CONFLICT without acceptDataLoss',
          params: oneExtent,
          body: forceRequestSchema,
          response: { 200: extentSchema, ...errors },
        },
      },
      ({ params, body }) => force(view, fetchPeer, params, body.node, body.acceptDataLoss),
    )
    server.get(
      '/v1/nodes/:id/lost',
      {
        schema: {
          summary: 'What declaring a node permanently lost costs; changes nothing',
          params: oneNode,
          response: { 200: loseReportSchema, ...errors },
        },
      },
      ({ params }) => reportLose(view, params.id),
    )
    server.post(
      '/v1/nodes/:id/lost',
      {
        schema: {
          summary: 'Declare a node permanently lost; CONFLICT without acceptDataLoss, or while its lease may hold',
          params: oneNode,
          body: loseRequestSchema,
          response: { 200: loseReportSchema, ...errors },
        },
      },
      ({ params, body }) => lose(view, params.id, body.acceptDataLoss),
    )
    server.post(
      '/v1/volumes/:name/acknowledge-loss',
      {
        schema: {
          summary: 'End the warning on a volume whose extents had primaries forced',
          params: z.object({ name: z.string() }),
          response: { 200: volumeSchema, ...errors },
        },
      },
      async ({ params }) => {
        volumeNamed(view, params.name)
        await view.admin({ do: 'acknowledge-loss', name: params.name })
        return await volumeReport(view, params.name, fetchPeer)
      },
    )
  }
}

function reportLose(view: NodeView, id: string): LoseReport {
  return loseReport(view.map, nodeNamed(view, id))
}

/** Responds with the report from before: afterwards the node may be in no list any more. */
async function lose(view: NodeView, id: string, acceptDataLoss: boolean): Promise<LoseReport> {
  const report = reportLose(view, id)
  if (!acceptDataLoss || !report.possible) throw leftAsItIs(report.node, report, report.costs)
  await view.admin({ do: 'lose-store', store: report.store as StoreId })
  return report
}

async function reportForce(
  view: NodeView,
  fetchPeer: FetchPeer,
  { name, number }: z.infer<typeof oneExtent>,
  node: string,
): Promise<ForceReport> {
  const volume = volumeNamed(view, name)
  const record = extentNumbered(view, volume, number)
  return await forceReport(view, volume, record, nodeNamed(view, node).store, fetchPeer)
}

async function force(
  view: NodeView,
  fetchPeer: FetchPeer,
  at: z.infer<typeof oneExtent>,
  node: string,
  acceptDataLoss: boolean,
): Promise<ExtentResponse> {
  const report = await reportForce(view, fetchPeer, at, node)
  if (!acceptDataLoss) throw leftAsItIs(report.extent, report, report.mayBeLost)
  const extent = extentNumbered(view, volumeNamed(view, at.name), at.number).id
  await view.admin({ do: 'force-primary', extent, store: nodeNamed(view, node).store })
  const after = (await extentReports(view, at.name, fetchPeer))[at.number]
  if (after === undefined) throw new AshlarError('NOT_FOUND', `volume ${at.name} was removed meanwhile`)
  return after
}

/** The error of a request that changed nothing: the loss was not accepted, or control would refuse it. */
function leftAsItIs(
  what: string,
  { possible, because }: Pick<LoseReport, 'possible' | 'because'>,
  losses: readonly string[],
): AshlarError {
  return new AshlarError('CONFLICT', `${what} was not changed: ${(possible ? losses : because).join('; ')}`, {
    hint: possible ? 'set acceptDataLoss to true to accept this loss' : '',
  })
}
