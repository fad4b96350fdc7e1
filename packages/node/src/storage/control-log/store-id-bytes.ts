import type { StoreId } from '@ashlar/proto'

/** Bytes of a store id: those of its UUID. */
export const STORE_ID_BYTES = 16

export function writeStoreId(bytes: Buffer, store: StoreId, at: number): void {
  bytes.write(store.replaceAll('-', ''), at, 'hex')
}

export function storeIdAt(bytes: Buffer, at: number): StoreId {
  const hex = bytes.toString('hex', at, at + STORE_ID_BYTES)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as StoreId
}
