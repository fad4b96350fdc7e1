import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { heldVolumeSchema, localHolderSchema } from './holder-schemas.ts'
import { heldVolumes, holdersOf, localHolders, requestHeard } from './holders.ts'
import type { NodeView } from './node-view.ts'
import type { FetchPeer } from './peers.ts'
import { needMap, volumesByName } from './reports.ts'
import { errorSchema } from './schemas.ts'

const errors = { '4xx': errorSchema, '5xx': errorSchema }

/** Sessions that hold volumes: of all of them, and what this node alone knows. */
export function holderRoutes(view: NodeView, fetchPeer: FetchPeer): FastifyPluginAsyncZod {
  return async (server) => {
    server.get(
      '/v1/holders',
      { schema: { summary: 'Sessions that hold volumes', response: { 200: heldVolumeSchema.array(), ...errors } } },
      async () => {
        needMap(view)
        const heard = await requestHeard(view, fetchPeer)
        const volumes = volumesByName(view)
        return heldVolumes(volumes.map((volume) => ({ name: volume.name, holders: holdersOf(view, volume, heard) })))
      },
    )
    server.get(
      '/v1/local/holders',
      {
        schema: {
          summary: 'Sessions that hold volumes, as the leader of control hears of them; none on another node',
          response: { 200: localHolderSchema.array(), ...errors },
        },
      },
      async () => localHolders(view),
    )
  }
}
