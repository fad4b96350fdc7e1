import type { TestContext } from 'node:test'
import { extentId, type VolumeId } from '@ashlar/proto'
import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import { createAdminServer, type FetchPeer } from '../../src/admin/index.ts'
import { extentRecord, FakeView, mapOf, storeOf, volumeRecord } from './fake-view.ts'

export const FIRST = extentId(1 as VolumeId, 0)
const log = pino({ level: 'silent' })
const metrics = { contentType: 'text/plain; version=0.0.4', expose: async () => 'ashlar_x 1\n' }

/** Peers that say nothing of interest: they hold no extents as primaries. */
export const quietPeers: FetchPeer = async (api, path) =>
  path.startsWith('/v1/local/extents')
    ? []
    : {
        ...{ id: api, store: storeOf(2), pid: 1, version: '1.2.3', dataDir: '/data', ready: true, reason: '' },
        ...{ leaseHeld: true, mapRevision: 7, insecure: [] },
      }

/** The API over a view, called without a socket. */
export async function serve(t: TestContext, view: FakeView, fetchPeer: FetchPeer = quietPeers) {
  const server = await createAdminServer({ view, log, metrics, fetchPeer })
  t.after(() => server.close())
  return async (url: string, options: Omit<InjectOptions, 'url'> = {}) => {
    const response = await server.inject({ ...options, url })
    const isJson = String(response.headers['content-type']).startsWith('application/json')
    return { status: response.statusCode, body: isJson ? response.json() : response.body, headers: response.headers }
  }
}

/** One volume `demo` with one extent on n1, n2 and n3, all in sync. */
export function demo(changes: Parameters<typeof mapOf>[0] = {}): FakeView {
  return new FakeView(mapOf({ volumes: [volumeRecord(1, 'demo')], extents: [extentRecord(1, 0)], ...changes }))
}
