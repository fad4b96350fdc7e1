import type { BlockDevice } from '../device.ts'

/** A call on its way through a filter. */
export interface DeviceCall {
  readonly name: 'read' | 'write' | 'flush' | 'trim' | 'writeZeroes' | 'allocation' | 'close'
  /** 0 for flush and close, like the length. */
  readonly offset: number
  readonly length: number
  readonly fua: boolean
  readonly noHole: boolean
  readonly signal: AbortSignal | undefined
}

/** Gets a call, and executes it at once, later, or not at all. */
export type Around = <T>(call: DeviceCall, run: () => Promise<T>) => Promise<T>

interface Choices {
  readonly signal?: AbortSignal
  readonly fua?: boolean
  readonly noHole?: boolean
}

/** The same device with `around` between the caller and every call: the base of all filters. */
export function wrapDevice(device: BlockDevice, around: Around): BlockDevice {
  const call = (name: DeviceCall['name'], offset = 0, length = 0, choices: Choices = {}): DeviceCall => ({
    name,
    offset,
    length,
    fua: choices.fua === true,
    noHole: choices.noHole === true,
    signal: choices.signal,
  })
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    readOnly: device.readOnly,
    fastZero: device.fastZero,
    read: (offset, length, options) =>
      around(call('read', offset, length, options), () => device.read(offset, length, options)),
    write: (offset, bytes, options) =>
      around(call('write', offset, bytes.length, options), () => device.write(offset, bytes, options)),
    flush: (options) => around(call('flush', 0, 0, options), () => device.flush(options)),
    trim: (offset, length, options) =>
      around(call('trim', offset, length, options), () => device.trim(offset, length, options)),
    writeZeroes: (offset, length, options) =>
      around(call('writeZeroes', offset, length, options), () => device.writeZeroes(offset, length, options)),
    allocation: (offset, length, options) =>
      around(call('allocation', offset, length, options), () => device.allocation(offset, length, options)),
    onLost: (listener) => device.onLost?.(listener),
    close: () => around(call('close'), () => device.close()),
  }
}
