import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ScrubCommand, ScrubStatus } from '../storage/scrub/index.ts'
import type { FetchPeer } from './peers.ts'
import { counted } from './plurals.ts'
import { errorSchema } from './schemas.ts'

/** The scrub of a node, as its API sees it. */
export interface ScrubView {
  readonly status: ScrubStatus
  /** Why this store is to leave the in-sync sets once no extent would wait for it; undefined for a sound one. */
  readonly reasonToLeave: string | undefined
  command(command: ScrubCommand): void
}

const count = z.number().int().min(0)
const passSchema = z.object({
  startedAt: z.string().describe('By the clock of the node.'),
  endedAt: z.string().nullable().describe('Null while the pass runs.'),
  blocks: count,
  bytes: count,
  damagedBlocks: count.describe('Blocks whose bytes were wrong or missing.'),
  lostLeaves: count.describe('Runs of 256 blocks whose versions do not match their digest.'),
})

export const scrubSchema = z
  .object({
    state: z.enum(['off', 'paused', 'running', 'waiting']),
    bytesPerSecond: count,
    position: z.number().min(0).max(1).describe('Part of the pass that is done, from 0 to 1.'),
    current: passSchema.nullable(),
    last: passSchema.nullable().describe('The last completed pass.'),
    reasonToLeave: z
      .string()
      .nullable()
      .describe('Why the store leaves the in-sync sets as soon as enough others are in sync; null for a sound one.'),
  })
  .meta({ id: 'Scrub' })

export const scrubCommandSchema = z.object({
  do: z
    .enum(['start', 'pause', 'resume'])
    .describe('start: begin a pass now. pause: until resume, also across restarts.'),
})

export type ScrubResponse = z.infer<typeof scrubSchema>
export type ScrubRequest = z.infer<typeof scrubCommandSchema>

const errors = { '4xx': errorSchema, '5xx': errorSchema }
export const SCRUB_PATH = '/v1/local/scrub'

export function scrubRoutes(view: ScrubView): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      SCRUB_PATH,
      { schema: { summary: 'Progress of the scrub of this store', response: { 200: scrubSchema, ...errors } } },
      () => scrubResponse(view),
    )
    server.post(
      SCRUB_PATH,
      {
        schema: {
          summary: 'Start, pause or resume the scrub of this store',
          body: scrubCommandSchema,
          response: { 200: scrubSchema, ...errors },
        },
      },
      ({ body }) => {
        view.command(body.do)
        return scrubResponse(view)
      },
    )
  }
}

function scrubResponse({ status, reasonToLeave }: ScrubView): ScrubResponse {
  const { state, bytesPerSecond, position, current, last } = status
  const pass = (of: typeof current): ScrubResponse['current'] =>
    of === null
      ? null
      : {
          startedAt: new Date(of.startedAtMs).toISOString(),
          endedAt: of.endedAtMs === null ? null : new Date(of.endedAtMs).toISOString(),
          ...{ blocks: of.blocks, bytes: of.bytes, damagedBlocks: of.damagedBlocks, lostLeaves: of.lostLeaves },
        }
  return {
    ...{ state, bytesPerSecond, position, reasonToLeave: reasonToLeave ?? null },
    ...{ current: pass(current), last: pass(last) },
  }
}

/** The scrub of a node for `explain`; empty when the node does not respond. */
export async function explainScrub(
  api: string,
  fetchPeer: FetchPeer,
): Promise<{ readonly because: readonly string[]; readonly problems: readonly string[] }> {
  const scrub = await fetchPeer(api, SCRUB_PATH).then(
    (answer) => scrubSchema.safeParse(answer).data,
    () => undefined,
  )
  if (scrub === undefined) return { because: [], problems: [] }
  const { state, position, current, last, reasonToLeave } = scrub
  const now =
    current === null ? `its scrub is ${state}` : `its scrub is ${state}, ${Math.floor(position * 100)} % of a pass done`
  const before = last === null ? 'no pass has ended yet' : `the last pass ended ${last.endedAt}, ${found(last)}`
  const leaving = `its store is suspect: ${reasonToLeave}. It leaves the in-sync sets once each of its extents has enough other replicas in sync on trusted nodes that are up`
  return {
    because: [`${now}${current === null ? '' : `, ${found(current)}`}; ${before}`],
    problems: reasonToLeave === null ? [] : [leaving],
  }
}

function found({ blocks, damagedBlocks, lostLeaves }: NonNullable<ScrubResponse['last']>): string {
  const lost = lostLeaves === 0 ? '' : `, and versions lost in ${counted(lostLeaves, 'run')} of 256 blocks`
  return `${counted(blocks, 'block')} read, ${damagedBlocks} of them damaged${lost}`
}
