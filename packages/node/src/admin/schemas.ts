import { ERRORS, type ErrorCode, LIMITS, NAME_PATTERN, NAME_RULE, STORE_SPACES } from '@ashlar/proto'
import { z } from 'zod'
import { HEALTH_STATES } from './health.ts'
import { heldVolumeSchema, holderSchema } from './holder-schemas.ts'
import { nodeEndSchema, peerSchema, sightSchema, whyDownSchema } from './peer-schema.ts'

/** Schemas of the API. They validate requests, generate /openapi.json and give the command line its types. */

const count = z.number().int().min(0)
const name = z.string().regex(NAME_PATTERN, { message: NAME_RULE })
const healthState = z.enum(HEALTH_STATES)
const standing = z.enum(['in-sync', 'joining', 'out'])

export const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      hint: z.string().describe('What to do next; may be empty.'),
    }),
  })
  .meta({ id: 'Error' })

const insecureSchema = z.object({ node: z.string(), option: z.string(), address: z.string() })

const extentCountsSchema = z.object({
  healthy: count,
  recovering: count,
  degraded: count,
  unavailable: count,
  unknown: count.default(0).describe('The node that reports is cut off from control.'),
})

export const clusterSchema = z
  .object({
    state: healthState,
    leader: z.string().nullable().describe('Name of the node that leads control; null while no leader is known.'),
    voters: z
      .array(z.string())
      .describe("Names of the nodes that keep control's log; the id of the store where the map has no name for it."),
    votersResponding: z
      .array(z.string())
      .default([])
      .describe('Those of them that the reporting node hears, itself included.'),
    majority: count.default(0).describe('Voters that must respond for control to decide anything.'),
    nodes: count,
    nodesUp: count.describe('Nodes whose lease holds and that the reporting node hears.'),
    volumes: count,
    extents: extentCountsSchema,
    behindBlocks: count.describe('Blocks that joining replicas still need, summed over the nodes that responded.'),
    cluster: z.string().nullable().describe('Id of the cluster; null while there is none.'),
    mapRevision: count,
    mapIsCurrent: z
      .boolean()
      .default(true)
      .describe('False: the reporting node is cut off from control, and everything here is as of `mapAsOf`.'),
    mapAsOf: z
      .string()
      .nullable()
      .default(null)
      .describe('When the map was confirmed; null: not since the node started.'),
    mapAgeMs: count.nullable().default(null),
    featureLevel: count
      .default(0)
      .describe('What every node of the cluster understands. Rises once all nodes are upgraded.'),
    featureLevelWaitsFor: z
      .array(z.string())
      .default([])
      .describe('Nodes that keep the level below what the responding node supports, each with what to do.'),
    reasons: z.array(z.string()).describe('Why the state is not healthy, each reason once.'),
    insecure: z.array(insecureSchema).describe('Listeners that anyone on the network can use.'),
    notResponding: z
      .array(z.string())
      .describe('Nodes that did not respond in time: what only they know is missing here.'),
    holders: heldVolumeSchema.array().default([]).describe('Sessions that hold volumes.'),
    todo: z.array(z.string()).default([]).describe('What an operator can do, as in an explanation.'),
  })
  .meta({ id: 'Cluster' })

const spaceSchema = z.object({
  level: z.enum(STORE_SPACES).describe('free, filling, tight or full: each refuses more than the one before.'),
  freeBytes: count.describe('Free bytes of the disk, less what the ballast file still lacks.'),
  since: z.string().describe('When it reached this level, by the clock of the node.'),
  reserves: z
    .object({ placement: count, writes: count, last: count })
    .describe('Free bytes below which the store refuses new extents, new blocks, or all writes.'),
})

export const nodeSchema = z
  .object({
    id: z.string().describe('Name of the node.'),
    state: z
      .enum(['up', 'down', 'draining', 'unknown'])
      .describe('unknown: the node that reports is cut off from control, and hears nothing of this one.'),
    store: z.string().describe('Id of its store: its identity.'),
    address: z.string().describe('Where peers and clients connect; empty once another store took over the address.'),
    api: z.string().describe('host:port of its API.'),
    trust: z.enum(['trusted', 'suspect']),
    startCounter: count.describe('How often its store was opened.'),
    primaries: count.describe('Extents whose primary it is.'),
    replicas: count.describe('Replicas assigned to it.'),
    inSync: count.describe('Replicas of these that are in sync.'),
    declaredLost: z
      .boolean()
      .default(false)
      .describe('An operator declared it permanently lost, and some extent still names it.'),
    space: spaceSchema.nullable().default(null).describe('Free space on its disk; null when the node did not respond.'),
    ended: nodeEndSchema.nullable().default(null).describe('Why it ended last, until it registers again.'),
    whyDown: whyDownSchema.nullable().default(null).describe('Why it is down; null while it is not.'),
  })
  .meta({ id: 'Node' })

export const nodeDetailsSchema = nodeSchema
  .extend({
    ready: z.boolean().nullable().describe('Result of its /readyz; null when the node did not respond.'),
    reason: z.string().describe('Why it is not ready, or why it did not respond.'),
    version: z.string().nullable(),
    pid: count.nullable(),
    dataDir: z.string().nullable(),
    labels: z.record(z.string(), z.string()).nullable().describe('Labels set by --label.'),
    seenBy: sightSchema.array().default([]).describe('What each node that responded last saw of it.'),
    volumes: z.array(
      z.object({ name: z.string(), primaries: count, replicas: count, inSync: count, behindBlocks: count.nullable() }),
    ),
  })
  .meta({ id: 'NodeDetails' })

export const detachReportSchema = z
  .object({
    volume: z.string(),
    sessions: z.array(holderSchema.pick({ session: true, client: true, mode: true })),
    possible: z.boolean(),
    consequences: z.array(z.string()),
    alreadyEnded: z
      .array(count)
      .optional()
      .describe('After the detach: named sessions that did not hold the volume any more, as far as this node knew.'),
  })
  .meta({ id: 'DetachReport' })

export const detachRequestSchema = z.strictObject({
  sessions: z.array(count.min(1)).min(1).max(LIMITS.holders),
  fence: z.boolean().default(false).describe('True: fence these sessions. False: only validate the request.'),
})

export const volumeSchema = z
  .object({
    name: z.string(),
    sizeBytes: count,
    blockSizeBytes: count,
    replicas: count,
    minInSync: count,
    state: healthState,
    extentSizeBytes: count,
    extents: extentCountsSchema,
    behindBlocks: count,
    generation: count.describe('Rises with each attachment; a writer with a lower one is refused.'),
    holders: z.array(holderSchema),
    reasons: z.array(z.string()),
    forced: z
      .array(
        z.object({
          ...{ extent: count, node: z.string(), epoch: count, acknowledged: z.boolean() },
          reconciled: z
            .boolean()
            .default(false)
            .describe('Not forced by an operator: only suspect stores were left, and their contents were reconciled.'),
        }),
      )
      .default([])
      .describe(
        'Extents whose primary was forced or that were reconciled, each with the latest time: acknowledged writes may be lost.',
      ),
  })
  .meta({ id: 'Volume' })

export const createVolumeSchema = z
  .strictObject({
    name,
    sizeBytes: z.number().int().min(1, 'must be above 0').describe('A multiple of the block size.'),
    blockSizeBytes: z.number().int().optional().describe('A power of two from 4 KiB to 1 MiB. Default 4 KiB.'),
    extentSizeBytes: z
      .number()
      .int()
      .optional()
      .describe('A power of two from 16 MiB to 4 GiB. Default 256 MiB, more for volumes above 1 TiB.'),
    replicas: z.number().int().min(1).max(LIMITS.maxReplicas).optional().describe(`Default ${LIMITS.defaultReplicas}.`),
    minInSync: z.number().int().min(1).optional().describe('Default half of the replicas, rounded up.'),
  })
  .meta({ id: 'CreateVolume' })

export const extentSchema = z
  .object({
    extent: count.describe('Number of the extent in its volume, from 0.'),
    epoch: count,
    primary: z.string(),
    replicas: z.array(
      z.object({
        node: z.string(),
        standing,
        behindBlocks: count.nullable().describe('Blocks that it still needs; null when the primary did not respond.'),
      }),
    ),
    state: healthState,
    reason: z.string(),
    id: count.describe('Number of the extent in the cluster, as in /v1/local.'),
    damagedBlocks: count
      .nullable()
      .default(null)
      .describe('Damaged blocks known on the primary; null when it did not respond.'),
  })
  .meta({ id: 'Extent' })

const logRole = z.enum(['leader', 'follower', 'candidate'])

const localControlSchema = z.object({
  role: logRole,
  recovering: z
    .boolean()
    .default(false)
    .describe('Its log was lost or damaged: it does not vote until the log is complete again.'),
  term: count,
  lastIndex: count,
  commit: count.describe('Last entry that it knows to be committed.'),
  applied: count.describe('Last entry that its map holds.'),
  snapshotIndex: count.describe('Last entry that its snapshot covers; 0 when there is none.'),
  diskWaitedMs: z
    .number()
    .default(0)
    .describe('Age of the oldest log request that its disk has not completed, milliseconds; 0: none is pending.'),
  voters: z.array(z.string()).describe('Ids of the stores that vote, by its newest entry.'),
  learners: z.array(z.string()).describe('Ids of the stores that receive the log and do not vote.'),
})

export const membersSchema = z
  .object({
    leader: z.string().nullable().describe('Name of the node that leads; null while no leader is known.'),
    members: z.array(
      z.object({
        node: z.string().describe('Name of the node; the id of the store where the map has no name for it.'),
        store: z.string(),
        votes: z.boolean(),
        role: logRole.or(z.enum(['learner', 'unknown'])).describe('unknown: the node did not respond.'),
        term: count.nullable(),
        lastIndex: count.nullable(),
        commit: count.nullable(),
      }),
    ),
  })
  .meta({ id: 'ControlMembers' })

export const changeMembersSchema = z.object({
  change: z.enum(['add', 'promote', 'remove']),
  node: z.string().describe('Name of the node, or id of its store.'),
})

export const transferSchema = z.object({ node: z.string().describe('Name of the node, or id of its store.') })

export const localSchema = z
  .object({
    id: z.string(),
    store: z.string(),
    pid: count,
    version: z.string(),
    dataDir: z.string(),
    labels: z.record(z.string(), z.string()).default({}).describe('Labels set by --label.'),
    ready: z.boolean(),
    reason: z.string(),
    leaseHeld: z.boolean(),
    mapRevision: count,
    featureLevel: count.default(0).describe('Feature level that its build supports.'),
    insecure: z.array(z.object({ option: z.string(), address: z.string() })),
    suspicion: z
      .string()
      .nullable()
      .default(null)
      .describe('Why the store is suspect, as found when it was opened; null when it is not.'),
    space: spaceSchema.nullable().default(null).describe('Free space on its disk.'),
    peers: peerSchema.array().default([]).describe('What it last saw of each peer that it dials.'),
    control: localControlSchema.nullable().default(null).describe("Its part in control's log; null when it has none."),
  })
  .meta({ id: 'Local' })

export const localExtentSchema = z
  .object({
    extent: count,
    role: z.enum(['primary', 'replica']),
    phase: z.string(),
    epoch: count,
    lastEpoch: count.default(0).describe('Epoch of the last write that it holds.'),
    lastSeq: count,
    commitSeq: count,
    damagedBlocks: count,
    pendingWrites: count,
    streams: z.array(
      z.object({
        store: z.string(),
        phase: z.string(),
        marked: z.boolean(),
        behindBlocks: count,
        deferredBlocks: count.default(0).describe('Blocks among these that wait for free space on the replica.'),
        copiedBlocks: count,
        throttled: z.boolean().default(false).describe('The copy is throttled, because clients are served.'),
        ackedSeq: count,
      }),
    ),
    reconciling: z
      .array(z.object({ store: z.string(), phase: z.enum(['closed', 'reading', 'ready']) }))
      .nullable()
      .default(null)
      .describe('Suspect stores that are reconciled before the primary serves, itself included; null when none are.'),
  })
  .meta({ id: 'LocalExtent' })

export const BLOCK_KIND_NAMES = ['absent', 'data', 'zero', 'trim'] as const

export const versionsSchema = z
  .object({
    extent: count,
    blocks: z.array(
      z.object({
        block: count,
        epoch: count,
        seq: count,
        kind: z.enum(BLOCK_KIND_NAMES),
        checksum: count,
        intact: z.boolean(),
      }),
    ),
    nextBlock: count.nullable().describe('First block of the next request; null at the end of the extent.'),
  })
  .meta({ id: 'Versions' })

export const explanationSchema = z
  .object({
    kind: z.enum(['cluster', 'volume', 'extent', 'node']),
    name: z.string(),
    state: z.string(),
    problems: z.array(z.string()).default([]).describe('What is wrong.'),
    because: z.array(z.string()).describe('What this state is made of.'),
    waitsFor: z.array(z.string()).describe('What ends a problem without an operator, or has to come back.'),
    todo: z
      .array(z.string())
      .describe('What an operator can do; a command is the whole sentence, or its end after a colon.'),
  })
  .meta({ id: 'Explanation' })

export type ApiError = z.infer<typeof errorSchema>
export type ClusterResponse = z.infer<typeof clusterSchema>
export type NodeResponse = z.infer<typeof nodeSchema>
export type NodeDetailsResponse = z.infer<typeof nodeDetailsSchema>
export type VolumeResponse = z.infer<typeof volumeSchema>
export type CreateVolumeRequest = z.infer<typeof createVolumeSchema>
export type ExtentResponse = z.infer<typeof extentSchema>
export type DetachReport = z.infer<typeof detachReportSchema>
export type SpaceResponse = z.infer<typeof spaceSchema>
export type LocalResponse = z.infer<typeof localSchema>
export type LocalExtentResponse = z.infer<typeof localExtentSchema>
export type VersionsResponse = z.infer<typeof versionsSchema>
export type ExplanationResponse = z.infer<typeof explanationSchema>
export type ControlMembersResponse = z.infer<typeof membersSchema>
export type ChangeMembersRequest = z.infer<typeof changeMembersSchema>
