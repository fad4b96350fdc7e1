import { newVolume, newVolumeProblem, type VolumeRecord } from '@ashlar/proto'
import type { VolumeState } from './core/machine.ts'
import { usageError } from './errors.ts'
import { checkSignal, checkVolumeName, type IoOptions } from './options.ts'
import type { ClientPump } from './pump.ts'

export interface CreateVolumeOptions extends IoOptions {
  readonly name: string
  /** A multiple of the block size. */
  readonly sizeBytes: number
  /**
   * D, a power of two from 4 KiB to 1 MiB. Default 4 KiB. Larger blocks cost less to keep and more to change in part.
   */
  readonly blockSizeBytes?: number
  /** A power of two from 16 MiB to 4 GiB. Default 256 MiB, or more where the volume would have over 4,096 extents. */
  readonly extentSizeBytes?: number
  /** M, from 1 to 5. Default 3. */
  readonly replicas?: number
  /** Replicas that must be in sync for writes to be acknowledged, from 1 to M. Default half of M, rounded up. */
  readonly minInSync?: number
}

export interface VolumeInfo {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  readonly extentSizeBytes: number
  readonly replicas: number
  readonly minInSync: number
  readonly state: VolumeState
  /** Names of the clients that have it open for writing. */
  readonly holders: readonly string[]
}

/** Operations on whole volumes. Calls reject with AshlarError, after ioTimeoutMs at the latest. */
export interface Admin {
  /** Resolves once the volume exists. EXISTS, TOO_FEW_NODES, USAGE. */
  create(options: CreateVolumeOptions): Promise<VolumeInfo>
  /** By name. */
  list(options?: IoOptions): Promise<readonly VolumeInfo[]>
  /** NOT_FOUND when there is none. */
  describe(name: string, options?: IoOptions): Promise<VolumeInfo>
  /** Removes the volume and its bytes permanently. NOT_FOUND, or CONFLICT while a client has it open. */
  remove(name: string, options?: IoOptions): Promise<void>
}

export class ClientAdmin implements Admin {
  readonly #pump: ClientPump

  constructor(pump: ClientPump) {
    this.#pump = pump
  }

  async create(options: CreateVolumeOptions): Promise<VolumeInfo> {
    checkVolumeName(options.name, this.create)
    checkSignal(options.signal, this.create)
    const created = newVolume(options)
    const problem = newVolumeProblem(created)
    if (problem !== undefined) throw usageError(`volume '${created.name}': ${problem}`, undefined, this.create)
    const command = { do: 'create-volume', ...created } as const
    const { volume, state } = await this.#pump.call({ do: 'admin', command }, 'volume', this.create, options.signal)
    return volumeInfo(volume, state)
  }

  async list(options: IoOptions = {}): Promise<readonly VolumeInfo[]> {
    checkSignal(options.signal, this.list)
    const { volumes } = await this.#pump.call({ do: 'list-volumes' }, 'volumes', this.list, options.signal)
    return volumes.map(({ volume, state }) => volumeInfo(volume, state))
  }

  async describe(name: string, options: IoOptions = {}): Promise<VolumeInfo> {
    checkVolumeName(name, this.describe)
    checkSignal(options.signal, this.describe)
    const call = { do: 'describe-volume', name } as const
    const { volume, state } = await this.#pump.call(call, 'volume', this.describe, options.signal)
    return volumeInfo(volume, state)
  }

  async remove(name: string, options: IoOptions = {}): Promise<void> {
    checkVolumeName(name, this.remove)
    checkSignal(options.signal, this.remove)
    const command = { do: 'remove-volume', name } as const
    await this.#pump.call({ do: 'admin', command }, 'done', this.remove, options.signal)
  }
}

function volumeInfo(volume: VolumeRecord, state: VolumeState): VolumeInfo {
  const { name, sizeBytes, blockSizeBytes, extentSizeBytes, replicas, minInSync } = volume
  const holders = volume.holders.map((holder) => holder.client)
  return { name, sizeBytes, blockSizeBytes, extentSizeBytes, replicas, minInSync, state, holders }
}
