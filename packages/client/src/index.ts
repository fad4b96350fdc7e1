/** The client library of Ashlar: connect to a cluster, open volumes, read and write their bytes. */

export { AshlarError, type AttachMode, type ErrorCode, type RetryClass } from '@ashlar/proto'
export type { Admin, CreateVolumeOptions, VolumeInfo } from './admin.ts'
export type { Client } from './client.ts'
export { connect } from './connect.ts'
export type { VolumeState } from './core/machine.ts'
export type { MetricRegistry } from './metrics.ts'
export type { ClientLogger, ConnectOptions, IoOptions, OpenOptions, TakeOver } from './options.ts'
export type { StatusEvent } from './status.ts'
export type { ClientTls } from './transport/ws-connection.ts'
export type { Volume } from './volume.ts'
