import { AshlarError } from '@ashlar/proto'
import type { TakeOver } from '../../options.ts'
import { VolumeDevice, type VolumeSource } from '../device/volume-device.ts'
import type { ExportInfo, ExportProvider } from './exports.ts'

/** What is needed of a client of the library. */
export interface ExportClient {
  openVolume(
    name: string,
    options: { readonly mode: 'exclusive' | 'read-only' | 'shared'; readonly takeOver?: TakeOver },
  ): Promise<VolumeSource>
  readonly admin: {
    list(): Promise<readonly ExportedVolume[]>
    describe(name: string): Promise<ExportedVolume>
  }
  status(): AsyncIterable<ExportClientEvent>
}

export interface ExportClientEvent {
  readonly what: string
  readonly volume?: string
  /** Which opening of the volume it is about. */
  readonly handle?: number
  /** Why it is lost: it names the new holder. */
  readonly reason?: string
}

interface ExportedVolume {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
}

export interface ClientExportsOptions {
  /** Serves only these volumes. All of the cluster's without it. */
  readonly volumes?: readonly string[]
  /** Opens volumes read-only: without an attachment, so that no holder is fenced. */
  readonly readOnly?: boolean
  /** Opens volumes in mode `shared`: other sharers may write too. */
  readonly shared?: boolean
  /** What an open does when another session holds the volume. Default `take`. */
  readonly takeOver?: TakeOver
}

/** Events of a client that end an open volume, with the errors that callers get. */
const LOSSES: Readonly<Record<string, (event: ExportClientEvent) => AshlarError>> = {
  fenced: ({ reason = 'another client took the volume' }) =>
    new AshlarError('FENCED', reason, { hint: '`ashlar gateway ls` shows the holders of all volumes.' }),
  removed: () => new AshlarError('NOT_FOUND', 'the volume was removed'),
}

/**
 * The volumes of a cluster as exports. A volume is attached when the first client opens its export and detached when
 * the last one has left. When the volume is fenced or removed, the export is lost at once, not at the next call.
 */
export function clientExports(client: ExportClient, options: ClientExportsOptions = {}): ExportProvider {
  const served = options.volumes === undefined ? undefined : new Set(options.volumes)
  const readOnly = options.readOnly === true
  const mode = readOnly ? 'read-only' : options.shared === true ? 'shared' : 'exclusive'
  const { takeOver = 'take' } = options
  const losses = new LossWatch(client)
  const infoOf = (volume: ExportedVolume): ExportInfo => ({
    name: volume.name,
    sizeBytes: volume.sizeBytes,
    blockSizeBytes: volume.blockSizeBytes,
    readOnly,
    fastZero: true,
  })
  return {
    async list() {
      const volumes = await client.admin.list()
      return volumes.filter(({ name }) => served?.has(name) !== false).map(({ name }) => ({ name }))
    },
    async describe(name) {
      if (served?.has(name) === false) return undefined
      try {
        return infoOf(await client.admin.describe(name))
      } catch (error) {
        if (error instanceof AshlarError && (error.code === 'NOT_FOUND' || error.code === 'USAGE')) return undefined
        throw error
      }
    },
    async open(name) {
      if (served?.has(name) === false) throw new AshlarError('NOT_FOUND', `there is no export ${name}`)
      losses.begin()
      const volume = await client.openVolume(name, readOnly ? { mode } : { mode, takeOver })
      return new VolumeDevice(volume, { onLost: (listener) => losses.watch(volume, listener) })
    },
  }
}

/** Follows the status of a client and notifies the exports of a volume when it is lost. */
class LossWatch {
  readonly #client: ExportClient
  readonly #listeners = new Map<string, { handle: number | undefined; listener: (error: AshlarError) => void }>()
  #following = false

  constructor(client: ExportClient) {
    this.#client = client
  }

  /** Events are seen from here on; called before the volume is opened, so that none is missed. */
  begin(): void {
    if (this.#following) return
    this.#following = true
    // The iteration ends with the client; a failure of it would leave losses to be found by the calls that fail.
    this.#follow(this.#client.status()).catch(() => {
      this.#following = false
    })
  }

  watch(volume: VolumeSource, listener: (error: AshlarError) => void): void {
    this.#listeners.set(volume.name, { handle: volume.handle, listener })
  }

  async #follow(events: AsyncIterable<ExportClientEvent>): Promise<void> {
    for await (const event of events) {
      const loss = LOSSES[event.what]
      const watched = event.volume === undefined ? undefined : this.#listeners.get(event.volume)
      if (loss === undefined || watched === undefined) continue
      // An event about an earlier opening can come late.
      if (event.handle !== undefined && watched.handle !== undefined && event.handle !== watched.handle) continue
      watched.listener(loss(event))
    }
  }
}
