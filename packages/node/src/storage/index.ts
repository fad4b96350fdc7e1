/** Storage of a node: drivers, the store over them, and the control log's files. */
export {
  BootMark,
  type ControlLog,
  type ControlLogOptions,
  openControlLog,
  openExistingControlLog,
} from './control-log/index.ts'
export type { BatchOperation, Durability, Entry, KeyRange, ScanOptions, StorageDriver } from './driver.ts'
export { endOfStart } from './errors.ts'
export { runtimeDirectory } from './files/runtime-directory.ts'
export { ForgetfulDriver } from './filters/forgetful-driver.ts'
export { newClusterId } from './identity/store-id.ts'
export { openLevelDbDriver } from './leveldb/leveldb-driver.ts'
export { LEVELDB_DEFAULTS, type LevelDbOptions } from './leveldb/options.ts'
export { MemoryDisk, MemoryDriver } from './memory/memory-driver.ts'
export { newStoreMetrics, type StoreMetrics } from './metrics.ts'
export { adoptControl, type NewCluster } from './offline/adopt-control.ts'
export { type Survey, surveyStore } from './offline/survey.ts'
export { controlLogDirectory, databaseLock } from './open/layout.ts'
export { type OpenOnDriverOptions, type OpenStoreOptions, openStore, openStoreOnDriver } from './open/open-store.ts'
export { STORE_TUNING, type StoreTuning } from './options.ts'
export type { ReplicaStore } from './replica-store.ts'
export type { SpaceView } from './space/free-space.ts'
export type { Reserve, ReserveOptions, Reserves } from './space/reserves.ts'
export type { Complete, Store, StoreEffect, StoreIdentity } from './store.ts'
