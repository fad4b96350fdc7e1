import { z } from 'zod'
import { LINK_STATES } from '../transport/index.ts'

/** What a node last saw of each peer that it dials. */

const count = z.number().int().min(0)
const moment = z.string().describe('By the clock of the node that saw it.')

/** Why a node ended, by its own report (A2.23). */
export const nodeEndSchema = z.object({
  kind: z.string().describe('One of the ends in docs/operating/errors.md.'),
  reason: z.string(),
  at: z.string().describe('By the clock of the node that ended.'),
  exitCode: count.nullable().describe('Of its process; null for a kind that this build does not know.'),
})

export const peerSchema = z.object({
  address: z.string().describe('host:port that this node dials.'),
  node: z.string().nullable().describe('Name of the peer; null where neither the map nor a link has shown it.'),
  state: z
    .enum(LINK_STATES)
    .describe(
      'connected; silent: it accepts connections and does not answer; refused: no process listens there; unreachable; ' +
        'handshake-refused; broken: it ended within the handshake; closed: a link ended; connecting.',
    ),
  since: moment,
  checkedAt: moment.describe('Last attempt that found this state.'),
  detail: z.string().describe('The fault as the system or the peer reported it; empty while connected.'),
  pid: count.nullable().describe('Process at the other end of the last link; null when there was none.'),
  refusal: z
    .object({ at: moment, by: z.enum(['this node', 'the peer']), code: z.string(), words: z.string() })
    .nullable()
    .describe('The last refused handshake between the two, since their last link.'),
  lastLink: z
    .object({ endedAt: moment, reason: z.string() })
    .nullable()
    .describe('End of the last link to it; null when none has ended.'),
  reported: nodeEndSchema.nullable().default(null).describe('Why it ended, as it reported to this node.'),
})

export const whyDownSchema = z.object({
  because: z.array(z.string()).describe('Why the node is down, as far as its peers see it.'),
  todo: z.array(z.string()).describe('What an operator can do.'),
})

export const sightSchema = z.object({ by: z.string().describe('Name of the node that saw it.'), saw: peerSchema })

export type NodeEndResponse = z.infer<typeof nodeEndSchema>
export type PeerResponse = z.infer<typeof peerSchema>
export type WhyDownResponse = z.infer<typeof whyDownSchema>
export type SightResponse = z.infer<typeof sightSchema>
