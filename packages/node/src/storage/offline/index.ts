/** Data directories read while no node runs over them. */
export { imageBlocks } from './extent-image.ts'
export { isInUse, type OfflineStore, openOffline } from './offline-store.ts'
