import type { StoreId } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import { corruptStoreError, unusableStoreError } from '../errors.ts'
import { type IdentityValue, readIdentity } from '../repositories/identity-repository.ts'

/**
 * The identity that a database holds. Throws INTERNAL when there is none, and CONFLICT when it is not that of the store that
 * the sidecar file names. `database`: its name in errors.
 */
export async function requireIdentity(
  driver: StorageDriver,
  expected: StoreId | undefined,
  database = 'the database',
): Promise<IdentityValue> {
  const identity = await readIdentity(driver)
  if (identity === undefined) throw corruptStoreError(`${database} holds no identity of a store`)
  if (expected !== undefined && identity.store !== expected) {
    throw unusableStoreError(
      `${database} belongs to store ${identity.store}, but the sidecar file names ${expected}`,
      'Directories of two stores were mixed: put each back in its place. Never edit either id.',
    )
  }
  return identity
}
