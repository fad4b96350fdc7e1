/** What programs must not be able to write: each marked line would compile were the declarations too wide. */
import { AshlarError, type Client, connect, type StatusEvent, type Volume } from '@ashlar/client'
import { serveNbd } from '@ashlar/client/nbd'
import { memoryCluster } from '@ashlar/client/testing'

export async function connecting(): Promise<void> {
  // @ts-expect-error servers is missing
  await connect({})
  // @ts-expect-error one server is a list of one, too
  await connect({ servers: '127.0.0.1:7580' })
  // @ts-expect-error ioTimeout is no option: units are part of the name
  await connect({ servers: ['127.0.0.1:7580'], ioTimeout: 5 })
  // @ts-expect-error a logger has levels
  await connect({ servers: ['127.0.0.1:7580'], logger: () => {} })
  // @ts-expect-error a registry takes metrics
  await connect({ servers: ['127.0.0.1:7580'], register: {} })
}

export async function opening(client: Client): Promise<void> {
  // @ts-expect-error there is no such mode
  await client.openVolume('demo', { mode: 'read-write' })
  // @ts-expect-error a volume has a name
  await client.openVolume()
  // @ts-expect-error a volume has a size
  await client.admin.create({ name: 'demo' })
  // @ts-expect-error sizes are numbers of bytes
  await client.admin.create({ name: 'demo', sizeBytes: '10Gi' })
  // @ts-expect-error a list is not to be changed
  ;(await client.admin.list()).push()
}

export async function bytes(volume: Volume): Promise<void> {
  // @ts-expect-error bytes, not text
  await volume.write(0, 'text')
  // @ts-expect-error bytes, not numbers
  await volume.write(0, [1, 2, 3])
  // @ts-expect-error offsets are numbers
  await volume.read(0n, 10)
  // @ts-expect-error how much is to be read
  await volume.read(0)
  // @ts-expect-error fua is for writes
  await volume.read(0, 10, { fua: true })
  // @ts-expect-error a controller is not its signal
  await volume.flush({ signal: new AbortController() })
  // @ts-expect-error a write gives nothing
  const written: number = await volume.write(0, new Uint8Array(1))
  // @ts-expect-error the size is fixed
  volume.sizeBytes = written
  // @ts-expect-error a writable has no end of its own
  volume.writable({ start: 0, end: 10 })
}

export function errors(error: AshlarError, event: StatusEvent): void {
  // @ts-expect-error there is no such code
  if (error.code === 'FENCE') return
  // @ts-expect-error codes are not to be changed
  error.code = 'TIMEOUT'
  // @ts-expect-error not every event is about a volume
  event.volume.toString()
  // @ts-expect-error there is no such event
  if (event.what === 'lost') return
  // @ts-expect-error there is no such code
  new AshlarError('FENCE', 'text')
}

export async function doors(): Promise<void> {
  // @ts-expect-error a server listens somewhere
  await serveNbd([], {})
  const cluster = await memoryCluster()
  // @ts-expect-error success is no fault
  cluster.failNext('write', 'OK')
  // @ts-expect-error a flush asks nothing of a cluster
  cluster.failNext('flush', 'WAIT')
  // @ts-expect-error a cluster in memory has no addresses
  await cluster.connect({ servers: [] })
}
