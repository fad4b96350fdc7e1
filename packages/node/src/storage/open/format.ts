import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isUuid, type StoreId } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import { JOURNAL_START_KEY } from '../encoding/keyspace.ts'
import { unusableStoreError } from '../errors.ts'
import { syncDirectory, syncFile } from '../files/directories.ts'
import { newStoreId } from '../identity/store-id.ts'
import { openLevelDbDriver } from '../leveldb/leveldb-driver.ts'
import type { LevelDbOptions } from '../leveldb/options.ts'
import {
  formatOf,
  type IdentityValue,
  newIdentity,
  putIdentity,
  refuseNewerFormat,
} from '../repositories/identity-repository.ts'
import { encodeJournalStart } from '../repositories/journal-repository.ts'
import { FILE_SYSTEM_ENTRIES, FORMATTING_PREFIX, type Layout, layoutOf, STORE_NAME } from './layout.ts'

interface Sidecar {
  readonly formatVersion: number
  readonly store: StoreId
}

/** Writes what an empty database needs to be a store. */
export async function formatDriver(driver: StorageDriver, store: StoreId): Promise<void> {
  const start = { type: 'put', key: JOURNAL_START_KEY, value: encodeJournalStart(FIRST_BATCH) } as const
  await driver.apply([putIdentity(newIdentity(store)), start], 'synced')
}

const FIRST_BATCH = 1

/**
 * Makes a store in an empty data directory, under another name first, so that a crash leaves either all of it or nothing
 * that counts (leveldb finding 19). Does nothing when there is a store already; refuses a directory with other files.
 */
export async function formatIfEmpty(directory: string, options: LevelDbOptions): Promise<void> {
  await mkdir(directory, { recursive: true })
  const names = await readdir(directory)
  if (names.includes(STORE_NAME)) return
  const foreign = names.filter((name) => !name.startsWith(FORMATTING_PREFIX) && !FILE_SYSTEM_ENTRIES.has(name))
  if (foreign.length > 0) {
    throw unusableStoreError(
      `the data directory ${directory} has no store in it but holds other files (${foreign.slice(0, 3).join(', ')})`,
      'Name an empty or a new directory. If a store was here, its "store" directory is missing: restore it.',
    )
  }
  const forming = layoutOf(directory, join(directory, `${FORMATTING_PREFIX}${randomUUID()}`))
  await mkdir(forming.store)
  await mkdir(forming.logs)
  await mkdir(forming.control)
  const store = newStoreId()
  const driver = await openLevelDbDriver(forming.database, options)
  await formatDriver(driver, store)
  await driver.close()
  await writeSidecar(forming.sidecar, { formatVersion: formatOf(0), store })
  await syncDirectory(forming.database)
  await syncDirectory(forming.store)
  try {
    await rename(forming.store, join(directory, STORE_NAME))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    // Another process formatted at the same time and was first: its store is opened, and its lock found.
    await rm(forming.store, { recursive: true, force: true })
  }
  await syncDirectory(directory)
  await syncDirectory(dirname(directory))
}

async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  await writeFile(path, `${JSON.stringify(sidecar)}\n`)
  await syncFile(path)
}

/** Brings the sidecar to the format that the identity names: an older build then refuses the directory before it opens anything. */
export async function followFormat({ store, sidecar: path }: Layout, identity: IdentityValue): Promise<void> {
  const before = parseSidecar(await readFile(path, 'utf8'))
  if (before === undefined || before.formatVersion >= identity.formatVersion) return
  const next = `${path}.next`
  await writeSidecar(next, { formatVersion: identity.formatVersion, store: before.store })
  await rename(next, path)
  await syncDirectory(store)
}

/** The store id of the sidecar; throws when there is none, or of a newer format. */
export async function readSidecar(path: string): Promise<StoreId> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw unusableStoreError(
      `the sidecar file ${path} cannot be read: ${cause.code ?? cause.message}`,
      'Restore it, or move the data directory away and start over an empty one: its replicas are copied from the others.',
      cause,
    )
  })
  const sidecar = parseSidecar(text)
  if (sidecar === undefined) {
    throw unusableStoreError(
      `the sidecar file ${path} does not hold a store id`,
      'Restore it, or move the data directory away and start over an empty one: its replicas are copied from the others.',
    )
  }
  refuseNewerFormat(sidecar.formatVersion)
  return sidecar.store
}

function parseSidecar(text: string): Sidecar | undefined {
  try {
    const value = JSON.parse(text) as Partial<Sidecar>
    return typeof value.formatVersion === 'number' && isUuid(value.store) ? (value as Sidecar) : undefined
  } catch {
    return undefined
  }
}

/** Removes what a crash left of a format. Only for the holder of the store's lock. */
export async function removeUnfinishedFormats(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(FORMATTING_PREFIX)) await rm(join(directory, name), { recursive: true, force: true })
  }
}
