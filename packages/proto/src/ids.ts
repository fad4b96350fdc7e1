import type { Brand } from './units.ts'

/** Permanent name of one formatted data directory: a UUIDv7 in its 36-character text form, made at format time. */
export type StoreId = Brand<string, 'StoreId'>
/** Permanent name of one cluster: a UUID in its 36-character text form. */
export type ClusterId = Brand<string, 'ClusterId'>
/** Name that an operator gave a node (`n1`). An address book entry, never an identity (A2.0-1). */
export type NodeName = Brand<string, 'NodeName'>
/** Number of a volume, given by control at creation and never used again. From 1 to 2^32 - 1. */
export type VolumeId = Brand<number, 'VolumeId'>
/** One extent of one volume: `volume * 4096 + index`, so a safe integer. */
export type ExtentId = Brand<number, 'ExtentId'>
/** One attachment of one client: a random safe integer from 1 to 2^53 - 1. */
export type SessionId = Brand<number, 'SessionId'>
/** Generation of an extent's primaryship: clusterGeneration * 2^32 + n. Only control raises it. */
export type Epoch = Brand<number, 'Epoch'>
/** Position of a write in one extent; goes on across epochs (A2.0-5). */
export type Seq = Brand<number, 'Seq'>

/** A volume has at most this many extents, which is what makes ExtentId fit in a safe integer. */
export const MAX_EXTENTS_PER_VOLUME = 4096
export const MAX_VOLUME_ID = 2 ** 32 - 1

export function extentId(volume: VolumeId, index: number): ExtentId {
  return (volume * MAX_EXTENTS_PER_VOLUME + index) as ExtentId
}
export function volumeOf(extent: ExtentId): VolumeId {
  return Math.floor(extent / MAX_EXTENTS_PER_VOLUME) as VolumeId
}
export function extentIndexOf(extent: ExtentId): number {
  return extent % MAX_EXTENTS_PER_VOLUME
}

const EPOCHS_PER_GENERATION = 2 ** 32
/** Builds an epoch; `clusterGeneration` is raised only by `cluster recover` (amendment 16). */
export function epochOf(clusterGeneration: number, n: number): Epoch {
  return (clusterGeneration * EPOCHS_PER_GENERATION + n) as Epoch
}
/** The `clusterGeneration` that an epoch was built with. */
export function clusterGenerationOf(epoch: Epoch): number {
  return Math.floor(epoch / EPOCHS_PER_GENERATION)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text)
}

/** The UUID of 32 hexadecimal digits. */
export function uuidOfHex(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Names of volumes and nodes. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/
/** NAME_PATTERN in words, for error messages. */
export const NAME_RULE = 'a name is 1 to 63 of a-z, 0-9, ".", "_" and "-", with a letter or digit at both ends'

export function isName(text: unknown): text is string {
  return typeof text === 'string' && NAME_PATTERN.test(text)
}
