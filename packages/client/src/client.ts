import { type Admin, ClientAdmin } from './admin.ts'
import { checkOpenOptions, type OpenOptions } from './options.ts'
import type { ClientPump } from './pump.ts'
import type { StatusEvent, StatusFeed } from './status.ts'
import { OpenedVolume, type Volume } from './volume.ts'

/** One connection to one cluster. Independent of every other client in the process. */
export interface Client extends AsyncDisposable {
  /**
   * Opens a volume. An exclusive open fences the holders before it, unless `takeOver` keeps them. Codes: NOT_FOUND;
   * ATTACHED and FENCED by `takeOver`; TIMEOUT, after which the volume may be attached nevertheless.
   */
  openVolume(name: string, options?: OpenOptions): Promise<Volume>
  readonly admin: Admin
  /** Events from this call on, until the client is closed. A slow reader misses the oldest events. */
  status(): AsyncIterable<StatusEvent>
  /** Closes every open volume, then every connection. Does not reject when the cluster cannot be reached. */
  close(): Promise<void>
}

export class ConnectedClient implements Client {
  readonly admin: Admin
  readonly #pump: ClientPump
  readonly #status: StatusFeed
  readonly #volumes: Set<OpenedVolume> = new Set()
  readonly #onClosed: () => void
  #closing: Promise<void> | undefined

  /** `onClosed` is called once, when nothing of the client is left. */
  constructor(pump: ClientPump, status: StatusFeed, onClosed: () => void) {
    this.#pump = pump
    this.#status = status
    this.#onClosed = onClosed
    this.admin = new ClientAdmin(pump)
  }

  async openVolume(name: string, options: OpenOptions = {}): Promise<OpenedVolume> {
    checkOpenOptions(name, options, this.openVolume)
    const { mode = 'exclusive', ifFree = false, takeOver: policy = ifFree ? 'free' : 'take', signal } = options
    const call = { do: 'open', name, mode, policy, at: Date.now() } as const
    const { handle, volume: record } = await this.#pump.call(call, 'opened', this.openVolume, signal)
    const volume = new OpenedVolume(this.#pump, handle, record, mode === 'read-only', (closed) =>
      this.#volumes.delete(closed),
    )
    this.#volumes.add(volume)
    return volume
  }

  status(): AsyncIterable<StatusEvent> {
    return this.#status.subscribe()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    // A volume that cannot be detached must not keep the others, or the connections, open.
    await Promise.allSettled([...this.#volumes].map((volume) => volume.close()))
    await this.#pump.close()
    this.#onClosed()
  }
}
