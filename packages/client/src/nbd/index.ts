/** NBD: any program can present volumes, or devices of its own, to NBD clients. */
export type {
  AllocationRun,
  BlockDevice,
  DeviceOptions,
  DeviceReadOptions,
  DeviceWriteOptions,
  DeviceZeroOptions,
  ReadPart,
  ZeroRun,
} from './device/device.ts'
export { type DelayFilterOptions, delayFilter } from './device/filters/delay.ts'
export { type ErrorFilterOptions, errorFilter, failShare } from './device/filters/error.ts'
export { type LoggedCall, logFilter } from './device/filters/log.ts'
export type { DeviceCall } from './device/filters/wrap.ts'
export { MemoryDevice, type MemoryDeviceOptions } from './device/memory-device.ts'
export { VolumeDevice, type VolumeDeviceOptions, type VolumeSource } from './device/volume-device.ts'
export type { ByteStream } from './server/byte-stream.ts'
export { type ClientExportsOptions, clientExports, type ExportClient } from './server/client-exports.ts'
export {
  type DeviceExport,
  deviceExports,
  type ExportInfo,
  type ExportProvider,
  volumeExports,
} from './server/exports.ts'
export { DEFAULT_LIMITS, type NbdServerLimits } from './server/limits.ts'
export type { BoundAddress } from './server/listener.ts'
export type { CloseReason, FinishedRequest, NbdLogger, NbdObserver } from './server/observer.ts'
export {
  type NbdServer,
  type NbdServerOptions,
  type NbdStreamOptions,
  serveNbd,
  serveNbdStream,
} from './server/serve.ts'
