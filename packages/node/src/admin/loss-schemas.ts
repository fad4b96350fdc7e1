import { z } from 'zod'

/** Schemas of what only an operator may decide, because acknowledged writes may be lost. */

const count = z.number().int().min(0)

export const forceRequestSchema = z
  .strictObject({
    node: z.string().describe('Name of the node, or id of its store, that becomes primary.'),
    acceptDataLoss: z
      .boolean()
      .default(false)
      .describe('False: nothing is done, and the response says what may be lost.'),
  })
  .meta({ id: 'ForcePrimary' })

export const loseRequestSchema = z
  .strictObject({
    acceptDataLoss: z.boolean().default(false).describe('False: nothing is done, and the response says what it costs.'),
  })
  .meta({ id: 'LoseNode' })

export const loseReportSchema = z
  .object({
    node: z.string(),
    store: z.string(),
    possible: z.boolean().describe('False: control would refuse it, and `because` says why.'),
    because: z.array(z.string()),
    costs: z.array(z.string()).describe('Consequences of declaring it lost.'),
    replicas: count.describe('Replicas that are assigned to other nodes.'),
    onlyHere: z.array(z.string()).describe('Extents of which only this store holds every acknowledged write.'),
  })
  .meta({ id: 'LoseReport' })

const heldSchema = z.object({
  node: z.string(),
  state: z.string(),
  lastEpoch: count.nullable().describe('Epoch of the last write that it holds; null when the node did not respond.'),
  lastSeq: count.nullable(),
  commitSeq: count.nullable().describe('Writes up to this seq are acknowledged, as far as it knows.'),
})

export const forceReportSchema = z
  .object({
    extent: z.string(),
    possible: z.boolean().describe('False: control would refuse it, and `because` says why.'),
    because: z.array(z.string()).describe('Why the extent has no serving primary, or why it cannot be forced.'),
    mayBeLost: z.array(z.string()),
    replica: heldSchema.describe('The one that would become primary.'),
    others: z.array(heldSchema),
  })
  .meta({ id: 'ForceReport' })

export type ForceReport = z.infer<typeof forceReportSchema>
export type LoseReport = z.infer<typeof loseReportSchema>
export type ForceRequest = z.infer<typeof forceRequestSchema>
