import { z } from 'zod'

const count = z.number().int().min(0)

export const holderSchema = z.object({
  session: count.default(0).describe('Names the session in `ashlar volume detach`; 0 from an older version.'),
  client: z.string().describe('Name that the client gave itself: a gateway names its host and its process.'),
  mode: z.string(),
  owner: z
    .string()
    .nullable()
    .default(null)
    .describe(
      'Name under which the client gets its own volume back; null: none, or the leader of control did not respond.',
    ),
  since: z
    .string()
    .nullable()
    .default(null)
    .describe('When it attached, by its own clock; null from an older version.'),
  lastHeardMs: count
    .nullable()
    .default(null)
    .describe('Since control heard of it; null: not since its present leader began, or the leader did not respond.'),
  through: z.string().nullable().default(null).describe('Name of the node over which control heard of it.'),
})

/** A session with the volume that it holds. */
export const heldVolumeSchema = z.object({ volume: z.string(), ...holderSchema.shape })

/** What the leader of control alone knows of a session. */
export const localHolderSchema = z
  .object({
    session: count,
    owner: z.string().nullable(),
    heardMsAgo: z.number().nullable(),
    through: z.string().nullable().describe('Id of the store whose node relayed its last renewal.'),
  })
  .meta({ id: 'LocalHolder' })

export type HolderResponse = z.infer<typeof holderSchema>
export type HeldVolumeResponse = z.infer<typeof heldVolumeSchema>
export type LocalHolderResponse = z.infer<typeof localHolderSchema>
