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

/** The end of sessions of others, by a person's word (amendment 31). */
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
            'End sessions of a volume: once it is answered no write of them takes effect; CONFLICT without fence',
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
    throw new AshlarError('USAGE', `"${session}" is no session`, { hint: 'see `ashlar volume describe`' })
  })
}

function reportDetach(view: NodeView, name: string, asked: readonly number[] | undefined): DetachReport {
  const volume = volumeNamed(view, name)
  const gone = asked?.find((session) => !isHeld(volume, session))
  if (gone !== undefined)
    throw new AshlarError('NOT_FOUND', `no session ${gone} holds volume ${name}`, {
      hint: 'see `ashlar volume describe` for those that do',
    })
  return reportOf(view, volume, asked)
}

function isHeld({ holders }: VolumeRecord, session: number): boolean {
  return holders.some((holder) => holder.session === session)
}

function reportOf(view: NodeView, volume: VolumeRecord, asked: readonly number[] | undefined): DetachReport {
  const sessions = volume.holders
    .filter(({ session }) => asked === undefined || asked.includes(session))
    .map(({ session, client, mode }) => ({ session, client, mode }))
  return { volume: volume.name, sessions, ...outlook(view, volume, sessions.length, asked?.length) }
}

/** `ended` of those that hold the volume, and `named`, of which some may be over already. */
function outlook(
  view: NodeView,
  volume: VolumeRecord,
  ended: number,
  named: number = ended,
): Pick<DetachReport, 'possible' | 'consequences'> {
  if (named === 0) return { possible: false, consequences: ['nobody holds it: there is nothing to end'] }
  if (view.map.featureLevel < FEATURES.endedSessions)
    return {
      possible: false,
      consequences: ['some node runs a version that cannot end one session: upgrade every node first'],
    }
  const stay = volume.holders.length - ended
  return {
    possible: true,
    consequences: [
      'what these clients wrote and were not answered for may have taken effect; once this is answered nothing more of it does',
      'their programs are told that their session is over: a gateway exits, a file system on top stops writing',
      stay === 0 ? 'nobody holds the volume then' : `${stay} other sessions go on without a break`,
    ],
  }
}

/**
 * Ends exactly the sessions that were named: one that attached since is none of them. One that this node's map does not name is
 * ended too: it may be over already, and then the answer still says that every primary knows.
 */
async function detach(view: NodeView, name: string, asked: readonly number[], fence: boolean): Promise<DetachReport> {
  const volume = volumeNamed(view, name)
  const named = [...new Set(asked)]
  const gone = named.filter((session) => !isHeld(volume, session))
  const report = reportOf(view, volume, named)
  if (!fence || !report.possible) {
    throw new AshlarError('CONFLICT', `volume ${name} was left as it is: ${report.consequences.join('; ')}`, {
      hint: report.possible ? 'say that these sessions are to be fenced to do it' : '',
    })
  }
  for (const session of named)
    await view.admin({ do: 'detach', volume: volume.id, session: session as SessionId, fence: true })
  return { ...report, gone }
}
