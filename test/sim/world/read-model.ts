import type { NodeName } from '@ashlar/proto'
import { localExtentResponses, localResponse } from '../../../packages/node/src/admin/local.ts'
import type { FetchPeer } from '../../../packages/node/src/admin/peers.ts'
import type { ApiCalls } from '../../../packages/node/src/runtime/api-calls.ts'
import { NodeReadModel } from '../../../packages/node/src/runtime/read-model.ts'
import type { ReplicaStore } from '../../../packages/node/src/storage/index.ts'
import type { NodeHost, NodeProcess } from './node-host.ts'

/** What the shipped API reads of a process at this moment. */
export function readModelOf(process: NodeProcess): NodeReadModel {
  const { host: name, machine, disk } = process
  const suspicion = disk.suspicion.size > 0 ? 'the simulated disk lost something' : undefined
  const identity = { store: disk.store, featureLevel: disk.identity.featureLevel, suspicion }
  const space = { space: 'free', freeBytes: 0, since: 0, reserves: { placement: 0, writes: 0, last: 0 } }
  const runtime = { machine, isStopping: false, hasFailed: false, now: () => process.now() }
  return new NodeReadModel(
    { dataDir: `/var/lib/ashlar/${name}`, name: name as NodeName, version: '0.1.0', labels: {}, insecure: [] },
    { ...runtime, feed: () => undefined, linkStatuses: () => [] },
    { identity, space: () => space } as unknown as ReplicaStore,
    {} as ApiCalls,
  )
}

/** Requests between the APIs of these nodes; those of processes that ended are refused. */
export function fetchAmong(nodes: readonly NodeHost[]): FetchPeer {
  return async (api, path) => {
    const process = nodes.find(({ name }) => api === `${name}:7001`)?.process
    if (process?.alive() !== true) throw new Error('connect ECONNREFUSED')
    const { pathname, searchParams } = new URL(path, `http://${api}`)
    if (pathname === '/v1/local') return localResponse(readModelOf(process))
    if (pathname === '/v1/local/extents')
      return localExtentResponses(readModelOf(process), searchParams.get('volume') ?? undefined)
    throw new Error('status 404')
  }
}
