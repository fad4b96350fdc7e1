import { join } from 'node:path'
import { AshlarError, type ExtentId } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import { requireIdentity } from '../identity/require-identity.ts'
import { openLevelDbDriver } from '../leveldb/leveldb-driver.ts'
import { LEVELDB_DEFAULTS } from '../leveldb/options.ts'
import { evidenceOf, findEvidence } from '../open/engine-logs.ts'
import { readSidecar } from '../open/format.ts'
import { layoutOf } from '../open/layout.ts'
import { type RecoveredState, recover } from '../open/recover.ts'
import type { IdentityValue } from '../repositories/identity-repository.ts'
import { makeScratch, removeScratch } from './scratch-copy.ts'

/** The store of a data directory, open for reading while no node runs over it. Nothing in the directory changes. */
export interface OfflineStore {
  readonly directory: string
  readonly identity: IdentityValue
  readonly recovered: RecoveredState
  /** For reading: what is applied to it is lost. */
  readonly driver: StorageDriver
  /** Signs that something acknowledged may be missing, as the next node over this directory would find them. */
  readonly evidence: readonly string[]
  /** True when the replica of this extent may lack something acknowledged. */
  isSuspect(extent: ExtentId): boolean
  close(): Promise<void>
}

/**
 * Opens it by links in a directory of its own (scratch-copy.ts). Throws an AshlarError CONFLICT when there is no store, a
 * newer format or a node that has it open, and INTERNAL when it is corrupt.
 */
export async function openOffline(directory: string): Promise<OfflineStore> {
  const layout = layoutOf(directory)
  const store = await readSidecar(layout.sidecar)
  const scratch = await makeScratch(layout.database)
  let driver: StorageDriver | undefined
  const close = async (): Promise<void> => {
    await driver?.close()
    await removeScratch(scratch)
  }
  try {
    driver = await openLevelDbDriver(scratch, LEVELDB_DEFAULTS)
    const identity = await requireIdentity(driver, store, `the database of ${directory}`)
    const recovered = await recover(driver)
    const lines = [...(await findEvidence(layout)), ...(await evidenceOf(join(scratch, 'LOG')))]
    // Lines that a node acted upon are part of its suspicion, for as long as that lasts.
    const fresh = [...new Set(lines)].filter((line) => !identity.knownEvidence.includes(line))
    const found = [...recovered.evidence, ...fresh]
    const { suspicion } = identity
    return {
      ...{ directory, identity, recovered, driver, close },
      evidence: [...(suspicion === undefined ? [] : [suspicion.reason]), ...found],
      isSuspect: (extent) => found.length > 0 || suspicion?.extents.includes(extent) === true,
    }
  } catch (error) {
    await close()
    throw namingDirectory(error, scratch, layout.database)
  }
}

/** True for the error of an opening that found a node over the directory. */
export function isInUse(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'LEVEL_LOCKED') return true
  }
  return false
}

/** Errors name the data directory instead of the scratch directory. */
function namingDirectory(error: unknown, scratch: string, database: string): unknown {
  if (!(error instanceof AshlarError) || !error.message.includes(scratch)) return error
  const { code, message, hint } = error
  return new AshlarError(code, message.replaceAll(scratch, database), {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  })
}
