import { randomUUID } from 'node:crypto'
import type { ClusterId } from '@ashlar/proto'
import { openStore } from '../../../packages/node/src/storage/index.ts'

/** A data directory that belongs to another cluster, as one voter of it leaves it behind. */
export async function makeForeign(directory: string, address: string): Promise<void> {
  const store = await openStore({ directory, ballastBytes: 0 }, () => undefined)
  await store.saveCluster(randomUUID() as string as ClusterId, [{ store: store.identity.store, address }], true)
  await store.close()
}
