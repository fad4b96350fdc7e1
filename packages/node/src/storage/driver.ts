import type { Bytes } from '@ashlar/proto'

/**
 * The storage driver port: an ordered map of binary keys. Every driver passes test/conformance/storage-driver-suite.ts.
 *
 * Promises of every driver:
 * - A batch is atomic: after any crash all of it is there or none.
 * - Batches take effect in the order of the `apply` calls; a read that starts after `apply` resolved sees the batch.
 * - `synced` resolves when this batch and every batch before it, synced or buffered, are on stable storage (amendment 6).
 * - `buffered` resolves when the batch is visible; a crash may lose it, also when a later batch survives.
 * - After a failed `apply` the driver is poisoned: every later `apply` rejects, until it is closed and opened again.
 * - `undefined` means never written; failure to read is a rejection. They never meet.
 * - Keys and values given to `apply` are not changed by the driver and may be reused once it settled; values that it
 *   returns belong to the caller.
 */
export interface StorageDriver {
  readonly capabilities: { readonly durable: boolean }
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** One result a key, in order, all from one snapshot taken at the call. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  apply(batch: readonly BatchOperation[], durability: Durability): Promise<void>
  /** Entries with from <= key < to, ascending, from one snapshot taken at the call. At most `limit`. Read it or leave it early: it holds the snapshot. */
  scan(range: KeyRange, options?: ScanOptions): AsyncIterable<Entry>
  /** The file system of this store, as it is now. */
  space(): Promise<DiskSpace>
  /** Gives the space of deleted keys in the range back to the file system; may take long. */
  compact(range: KeyRange): Promise<void>
  /** Statistics for metrics, by name; empty where a driver has none. */
  statistics(): Readonly<Record<string, number>>
  /** Resolves after every call before it has settled. */
  close(): Promise<void>
}

export interface DiskSpace {
  /** Bytes that this process may still write. */
  readonly freeBytes: Bytes
  readonly totalBytes: Bytes
}
export type Durability = 'synced' | 'buffered'
export type BatchOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }
export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
}
export interface ScanOptions {
  readonly limit?: number
  readonly keysOnly?: boolean
  /** Bytes that one step of the scan reads ahead at most. */
  readonly readAheadBytes?: Bytes
}
export interface Entry {
  readonly key: Uint8Array
  /** Empty with keysOnly. */
  readonly value: Uint8Array
}
