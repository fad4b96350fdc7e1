import { AshlarError } from '@ashlar/proto'
import type { BlockDevice } from '../device/device.ts'
import { VolumeDevice, type VolumeSource } from '../device/volume-device.ts'
import type { ListedExport } from '../protocol/index.ts'

/** What is known of an export without opening it. */
export interface ExportInfo {
  readonly name: string
  readonly sizeBytes: number
  /** Preferred block size. */
  readonly blockSizeBytes: number
  readonly readOnly: boolean
  readonly fastZero: boolean
  /** A line for people. */
  readonly description?: string
}

/**
 * The exports of a server. `open` is called when a client chooses an export that no connection has open; all
 * connections share the device, and the server closes it when the last one has left.
 */
export interface ExportProvider {
  list(): Promise<readonly ListedExport[]>
  /** Undefined when there is no such export. Must not open or attach anything. */
  describe(name: string): Promise<ExportInfo | undefined>
  /** Rejects with NOT_FOUND when there is no such export; the text of any AshlarError is shown to the client. */
  open(name: string): Promise<BlockDevice>
}

export interface DeviceExport {
  readonly name: string
  readonly device: BlockDevice
  readonly description?: string
}

/** Serves devices that are open already. They stay open when clients leave: the program that made them closes them. */
export function deviceExports(exports: readonly DeviceExport[]): ExportProvider {
  const byName = new Map(exports.map((item) => [item.name, item]))
  if (byName.size !== exports.length) {
    throw new AshlarError('USAGE', 'two exports have the same name', { hint: 'Give every export a name of its own.' })
  }
  return {
    async list() {
      return exports.map(({ name, description }) => ({ name, ...(description === undefined ? {} : { description }) }))
    },
    async describe(name) {
      const item = byName.get(name)
      return item === undefined ? undefined : infoOf(name, item.device, item.description)
    },
    async open(name) {
      const item = byName.get(name)
      if (item === undefined) throw new AshlarError('NOT_FOUND', `there is no export ${name}`)
      return keepOpen(item.device)
    },
  }
}

/** Serves volumes that are open already; the program that opened them closes them. */
export function volumeExports(volumes: readonly VolumeSource[]): ExportProvider {
  return deviceExports(volumes.map((volume) => ({ name: volume.name, device: new VolumeDevice(volume) })))
}

export function infoOf(name: string, device: BlockDevice, description?: string): ExportInfo {
  return {
    name,
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    readOnly: device.readOnly,
    fastZero: device.fastZero,
    ...(description === undefined ? {} : { description }),
  }
}

/** The same device with a `close` that leaves it open. */
function keepOpen(device: BlockDevice): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    readOnly: device.readOnly,
    fastZero: device.fastZero,
    read: (offset, length, options) => device.read(offset, length, options),
    write: (offset, bytes, options) => device.write(offset, bytes, options),
    flush: (options) => device.flush(options),
    trim: (offset, length, options) => device.trim(offset, length, options),
    writeZeroes: (offset, length, options) => device.writeZeroes(offset, length, options),
    allocation: (offset, length, options) => device.allocation(offset, length, options),
    onLost: (listener) => device.onLost?.(listener),
    close: async () => {},
  }
}
