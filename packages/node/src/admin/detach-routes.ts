import { AshlarError, FEATURES, type SessionId, type VolumeRecord } from '@ashlar/proto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { NodeView } from './node-view.ts'
import { volumeNamed } from './reports.ts'
import { type DetachReport, detachReportSchema, detachRequestSchema, errorSchema } from './schemas.ts'

const errors = { '4xx': errorSchema, '5xx': errorSchema }
const byName = z.object({ name: z.string() })
/** One session, or several with commas between; absent: all that hold the volume now. */
const whichSessions = z.object({ sessions: z.string().optional() })

/** Ends sessions of other clients, by decision of an operator (amendment 31). */
export function detachRoutes(view: NodeView): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/volumes/:name/detach',
      {
        schema: {
          summary: 'What ending sessions of a volume fences; changes nothing',
          params: byName,
          querystring: whichSessions,
          response: { 200: detachReportSchema, ...errors },
        },
      },
      async ({ params, query }) => reportDetach(view, params.name, parsed(query.sessions)),
    )
    server.post(
      '/v1/volumes/:name/detach',
      {
        schema: {
          summary:
            'End sessions of a volume: after the response none of their writes takes effect; CONFLICT without fence',
          params: byName,
          body: detachRequestSchema,
          response: { 200: detachReportSchema, ...errors },
        },
      },
      ({ params, body }) => detach(view, params.name, body.sessions, body.fence),
    )
  }
}

function parsed(sessions: string | undefined): number[] | undefined {
  return sessions?.split(',').map((session) => {
    const number = Number(session)
    if (Number.isSafeInteger(number) && number > 0) return number
    throw new AshlarError('USAGE', `"${session}" is not a session`, { hint: 'see `ashlar volume describe`' })
  })
}

function reportDetach(view: NodeView, name: string, requested: readonly number[] | undefined): DetachReport {
  const volume = volumeNamed(view, name)
  const unknown = requested?.find((session) => !isHeld(volume, session))
  if (unknown !== undefined)
    throw new AshlarError('NOT_FOUND', `no session ${unknown} holds volume ${name}`, {
      hint: 'see `ashlar volume describe` for those that do',
    })
  return reportOf(view, volume, requested)
}

function isHeld({ holders }: VolumeRecord, session: number): boolean {
  return holders.some((holder) => holder.session === session)
}

function reportOf(view: NodeView, volume: VolumeRecord, requested: readonly number[] | undefined): DetachReport {
  const sessions = volume.holders
    .filter(({ session }) => requested === undefined || requested.includes(session))
    .map(({ session, client, mode }) => ({ session, client, mode }))
  return { volume: volume.name, sessions, ...outlook(view, volume, sessions.length, requested?.length) }
}

/** `ended`: how many holders it ends. `named`: how many were requested, some of which may have ended already. */
function outlook(
  view: NodeView,
  volume: VolumeRecord,
  ended: number,
  named: number = ended,
): Pick<DetachReport, 'possible' | 'consequences'> {
  if (named === 0) return { possible: false, consequences: ['no session holds it: there is nothing to end'] }
  if (view.map.featureLevel < FEATURES.endedSessions)
    return {
      possible: false,
      consequences: ['at least one node runs a version that cannot end a single session: upgrade every node first'],
    }
  const stay = volume.holders.length - ended
  return {
    possible: true,
    consequences: [
      'writes of these clients without a response may have taken effect; after this command none of them does',
      'their programs get an error that the session ended: a gateway exits, a file system on top stops writing',
      stay === 0 ? 'no session holds the volume afterwards' : `${stay} other sessions continue without interruption`,
    ],
  }
}

/**
 * Ends exactly the sessions that were named, none that attached since. A session that this node's map does not have is ended
 * too: it may have ended already, and the response then still says that every primary has the end.
 */
async function detach(
  view: NodeView,
  name: string,
  requested: readonly number[],
  fence: boolean,
): Promise<DetachReport> {
  const volume = volumeNamed(view, name)
  const named = [...new Set(requested)]
  const alreadyEnded = named.filter((session) => !isHeld(volume, session))
  const report = reportOf(view, volume, named)
  if (!fence || !report.possible) {
    throw new AshlarError('CONFLICT', `volume ${name} was not changed: ${report.consequences.join('; ')}`, {
      hint: report.possible ? 'set fence to true to fence these sessions' : '',
    })
  }
  for (const session of named)
    await view.admin({ do: 'detach', volume: volume.id, session: session as SessionId, fence: true })
  return { ...report, alreadyEnded }
}
