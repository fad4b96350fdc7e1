import { AshlarError, type MapCopy, type StoreId } from '@ashlar/proto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, requestLocal } from './peers.ts'
import {
  type ControlMembersResponse,
  changeMembersSchema,
  errorSchema,
  type LocalResponse,
  membersSchema,
  transferSchema,
} from './schemas.ts'

const errors = { '4xx': errorSchema, '5xx': errorSchema }
type LocalControl = NonNullable<LocalResponse['control']>

/** Members of control's log, and the leader. */
export function controlRoutes(view: NodeView, fetchPeer: FetchPeer): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/control',
      {
        schema: { summary: "Members of control's log and its leader", response: { 200: membersSchema, ...errors } },
      },
      () => membersReport(view, fetchPeer),
    )
    server.post(
      '/v1/control/members',
      {
        schema: {
          summary: "Make a node a learner of control's log, a learner a voter, or remove a member; one at a time",
          body: changeMembersSchema,
          response: { 200: membersSchema, ...errors },
        },
      },
      async ({ body }) => {
        await view.admin({
          do: 'change-members',
          change: body.change,
          store: storeNamed(view, body.node, body.change === 'remove'),
        })
        return await membersReport(view, fetchPeer)
      },
    )
    server.post(
      '/v1/control/leader',
      {
        schema: {
          summary: 'Transfer leadership of control to another voter',
          body: transferSchema,
          response: { 200: membersSchema, ...errors },
        },
      },
      async ({ body }) => {
        await view.admin({ do: 'transfer-leadership', store: storeNamed(view, body.node) })
        return await membersReport(view, fetchPeer)
      },
    )
  }
}

/** A store by the name of its node, or by its id: another store may have the name of a removed voter. Throws NOT_FOUND. */
function storeNamed({ map }: NodeView, id: string, members = false): StoreId {
  const voters = map.voters.filter(({ store }) => store === id || map.nodes.get(store)?.name === id)
  if (members && voters[0] !== undefined) return voters[0].store
  for (const node of map.nodes.values())
    if (node.store === id || (node.name === id && node.address !== '')) return node.store
  if (voters[0] !== undefined) return voters[0].store
  const names = [...map.nodes.values()].map(({ name }) => name).sort()
  throw new AshlarError('NOT_FOUND', `there is no node ${id}`, { hint: `nodes are ${names.join(', ')}` })
}

async function membersReport(view: NodeView, fetchPeer: FetchPeer): Promise<ControlMembersResponse> {
  const { map } = view
  const parts = new Map<string, LocalControl>()
  for (const [store, answer] of await requestLocal(view, fetchPeer))
    if (answer.answered && answer.value.control !== null) parts.set(store, answer.value.control)
  // The member with the newest entry of the newest term has the latest list of members.
  const [newest] = [...parts.values()].sort((a, b) => b.term - a.term || b.lastIndex - a.lastIndex)
  const voters = newest?.voters ?? map.voters.map(({ store }) => store)
  const learners = newest?.learners ?? []
  const leader = [...parts].find(([, part]) => part.role === 'leader' && part.term === newest?.term)?.[0] ?? view.leader
  return {
    leader: leader === undefined ? null : memberName(map, leader as StoreId),
    members: [...voters, ...learners].map((store) => {
      const { role, term = null, lastIndex = null, commit = null } = parts.get(store) ?? {}
      const votes = voters.includes(store)
      const part = role === undefined ? 'unknown' : votes ? role : 'learner'
      return { node: memberName(map, store as StoreId), store, votes, role: part, term, lastIndex, commit }
    }),
  }
}

/** The name of the node; the id of a store that another one replaced, or that the map no longer has. */
export function memberName(map: MapCopy, store: StoreId): string {
  const node = map.nodes.get(store)
  return node === undefined || node.address === '' ? store : node.name
}
