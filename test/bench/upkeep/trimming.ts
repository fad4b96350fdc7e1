import { randomFillSync } from 'node:crypto'
import { type Client, connect, type Volume } from '@ashlar/client'
import { AshlarError, type Bytes, MIB } from '@ashlar/proto'
import type { Interval } from './coverage.ts'

const PIECE_BYTES: Bytes = MIB
const PIECES_AT_ONCE = 8

/** A volume that is filled, and trimmed while something else is measured. */
export class Trimming {
  readonly #client: Client
  readonly #volume: Volume
  /** When it was trimmed, by the wall clock. */
  readonly trims: Interval[] = []

  private constructor(client: Client, volume: Volume) {
    this.#client = client
    this.#volume = volume
  }

  /** Creates the volume. `servers`: peer addresses. */
  static async create(servers: readonly string[], name: string, sizeBytes: Bytes): Promise<Trimming> {
    const client = await connect({ servers })
    try {
      await client.admin.create({ name, sizeBytes })
      return new Trimming(client, await client.openVolume(name))
    } catch (error) {
      await client.close()
      throw error
    }
  }

  /** Writes all of it. */
  async fill(signal: AbortSignal): Promise<void> {
    let next = 0
    const writer = async () => {
      const bytes = new Uint8Array(PIECE_BYTES)
      for (let at = next; at < this.#volume.sizeBytes; at = next) {
        next += PIECE_BYTES
        await this.#volume.write(at, randomFillSync(bytes), { signal })
      }
    }
    const written = await Promise.allSettled(Array.from({ length: PIECES_AT_ONCE }, writer))
    for (const outcome of written) if (outcome.status === 'rejected') throw outcome.reason
  }

  /**
   * Trims all of it, once: what holds nothing any more is another thing to trim. Resolves when it did, or `signal`
   * ended it.
   */
  async trim(signal: AbortSignal): Promise<void> {
    const interval: Interval = { fromMs: Date.now() }
    this.trims.push(interval)
    try {
      await this.#volume.trim(0, this.#volume.sizeBytes, { signal })
    } catch (error) {
      if (!(error instanceof AshlarError && error.code === 'ABORTED')) throw error
    } finally {
      interval.toMs = Date.now()
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }
}
