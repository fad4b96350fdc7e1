import { join } from 'node:path'

/**
 * A data directory:
 *
 *   store/             everything of the store; comes into being whole, by one rename
 *     store.json       the sidecar: format version and store id, compared with the database at each open
 *     db/              LevelDB
 *     logs/            LevelDB's LOG files of earlier openings
 *     control/         control log
 *     control.term     the highest term in which the store took part in it
 *     control.last     its vote in that term, and the last entry that it made durable
 *     ballast          space to open again after the disk was full
 *
 * The rename happens inside the data directory and not beside it, because that is often a mount point.
 */
export interface Layout {
  readonly directory: string
  readonly store: string
  readonly sidecar: string
  readonly database: string
  readonly logs: string
  readonly control: string
  readonly ballast: string
}

export const STORE_NAME = 'store'
/** Beginning of the name of a store that is being formatted. */
export const FORMATTING_PREFIX = 'store.formatting-'
/** Entries that a file system makes by itself. */
export const FILE_SYSTEM_ENTRIES: ReadonlySet<string> = new Set(['lost+found'])

export function layoutOf(directory: string, store: string = join(directory, STORE_NAME)): Layout {
  return {
    directory,
    store,
    sidecar: join(store, 'store.json'),
    database: join(store, 'db'),
    logs: join(store, 'logs'),
    control: join(store, 'control'),
    ballast: join(store, 'ballast'),
  }
}

/** Where the control log of a data directory lies. */
export function controlLogDirectory(directory: string): string {
  return layoutOf(directory).control
}

/** The file that is locked while a process has the database of a data directory open. */
export function databaseLock(directory: string): string {
  return join(layoutOf(directory).database, 'LOCK')
}
