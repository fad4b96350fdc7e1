/** What programs may write: this file must compile, against the declarations that are shipped. */
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  AshlarError,
  type Client,
  type ConnectOptions,
  connect,
  type ErrorCode,
  type RetryClass,
  type StatusEvent,
  type Volume,
  type VolumeInfo,
} from '@ashlar/client'
import { type NbdServer, serveNbd } from '@ashlar/client/nbd'
import { type MemoryCluster, memoryCluster } from '@ashlar/client/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only when both types are the same one. */
function same<A, B>(_proof: Equal<A, B>): void {}

export async function everything(signal: AbortSignal): Promise<void> {
  const options: ConnectOptions = { servers: ['127.0.0.1:7580'], signal, ioTimeoutMs: 5000, name: 'example' }
  await using client = await connect(options)
  same<typeof client, Client>(true)
  const made = await client.admin.create({ name: 'demo', sizeBytes: 2 ** 30, replicas: 3, signal })
  same<typeof made, VolumeInfo>(true)
  same<Awaited<ReturnType<Client['admin']['list']>>, readonly VolumeInfo[]>(true)
  await using volume = await client.openVolume('demo', { mode: 'shared', ifFree: true, signal })
  await bytes(volume, signal)
  await using server = await serveNbd([volume], { listen: ['127.0.0.1:0', 'unix:demo.sock'] })
  same<typeof server, NbdServer>(true)
  await client.admin.remove('demo')
}

async function bytes(volume: Volume, signal: AbortSignal): Promise<void> {
  const read = await volume.read(0, 4096, { signal })
  same<typeof read, Uint8Array>(true)
  await volume.readInto(0, Buffer.alloc(512))
  await volume.write(volume.blockSizeBytes, new Uint8Array(7), { fua: true, signal })
  await volume.write(0, Buffer.from('text'))
  await volume.trim(0, volume.sizeBytes)
  await volume.writeZeroes(0, 100, { noHole: true })
  await volume.flush()
  for await (const chunk of volume.readable({ start: 0, end: 8192 })) same<typeof chunk, Uint8Array>(true)
  await volume.readable().pipeTo(volume.writable({ start: 0 }), { signal })
  await Readable.toWeb(createReadStream('image.raw')).pipeTo(volume.writable())
  await pipeline(Readable.fromWeb(volume.readable()), createWriteStream('image.raw'), { signal })
}

export function errors(error: unknown): RetryClass | undefined {
  if (!(error instanceof AshlarError)) return undefined
  same<typeof error.code, ErrorCode>(true)
  const indeterminate = error.details['indeterminate'] === true
  if (error.code === 'FENCED' || indeterminate) return 'never'
  return error.retry
}

/** A switch over every event compiles without a default: the union is closed. */
export function status(event: StatusEvent): string {
  switch (event.what) {
    case 'connected':
    case 'disconnected':
      return event.address
    case 'map':
      return `${event.revision}`
    case 'waiting':
      return `${event.volume} ${event.reason}`
    case 'resumed':
    case 'fenced':
    case 'removed':
      return event.volume
    case 'resolved-late':
      return `${event.offset} ${event.applied}`
    case 'detach-failed':
      return event.code
  }
}

export async function testing(): Promise<Client> {
  const cluster: MemoryCluster = await memoryCluster({ nodes: 1, volumes: [{ name: 'demo', sizeBytes: 4096 }] })
  cluster.failNext('write', 'NO_SPACE', 2)
  using hold = cluster.hold('read')
  same<typeof hold.waiting, number>(true)
  return await cluster.connect({ name: 'test' })
}
