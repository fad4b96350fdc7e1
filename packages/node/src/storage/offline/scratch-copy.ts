import { copyFile, mkdtemp, open as openFile, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { corruptStoreError, unusableStoreError } from '../errors.ts'
import { withNextFileNumber } from './manifest.ts'

/**
 * LevelDB writes when it opens: it renames LOG, turns its logs into tables, starts a new MANIFEST and deletes what is
 * obsolete. A database that must stay as it is is therefore opened under another directory:
 *
 *   *.ldb, *.sst, *.log   symbolic links: LevelDB only reads them, and deletes the link where it would delete the file
 *   LOCK                  a link, so that the lock is that of the database itself: a node that has it open is found, and none
 *                         can start over it meanwhile
 *   MANIFEST-*            copied, with file numbers raised so far that nothing new has the name of a link (manifest.ts)
 *   CURRENT               copied, since LevelDB replaces it
 *   LOG, LOG.old          left out; this opening writes a LOG of its own
 *
 * Whatever LevelDB writes lands beside the links, at most about two write buffers and what it compacts.
 */
const NUMBERED = /^(?:MANIFEST-)?(\d+)(?:\.(?:ldb|sst|log))?$/
const LINKED = /^\d+\.(?:ldb|sst|log)$/
const MANIFEST = /^MANIFEST-\d+$/
const LOCK = 'LOCK'
const CURRENT = 'CURRENT'
/** Numbers between those of the database and those of what is made here. */
const SPARE_NUMBERS = 1_000_000

/**
 * Makes such a directory under the system's directory for temporary files (TMPDIR names another). The caller removes it with
 * `removeScratch`. Throws an AshlarError CONFLICT when there is no database, INTERNAL when
 * it has no CURRENT.
 */
export async function makeScratch(database: string): Promise<string> {
  const source = resolve(database)
  const names = await readdir(source).catch((cause: NodeJS.ErrnoException) => {
    throw unusableStoreError(
      `the database in ${source} cannot be read: ${cause.code ?? cause.message}`,
      'Name the data directory of a node, as given to --data-dir.',
      cause,
    )
  })
  const scratch = await mkdtemp(join(tmpdir(), 'ashlar-offline-'))
  try {
    // Without it LevelDB would begin a new database, under names that the old one has.
    if (!names.includes(CURRENT)) throw corruptStoreError(`the database in ${source} has no file ${CURRENT}`)
    const newNumber = SPARE_NUMBERS + Math.max(0, ...names.map((name) => Number(NUMBERED.exec(name)?.[1] ?? 0)))
    for (const name of names) {
      const [from, to] = [join(source, name), join(scratch, name)]
      if (LINKED.test(name)) await symlink(from, to)
      else if (MANIFEST.test(name)) await writeFile(to, withNextFileNumber(await readFile(from), newNumber))
      else if (name === CURRENT) await copyFile(from, to)
    }
    if (names.includes(LOCK) && (await isWritable(join(source, LOCK)))) {
      await symlink(join(source, LOCK), join(scratch, LOCK))
    }
    return scratch
  } catch (error) {
    await rm(scratch, { recursive: true, force: true })
    throw error
  }
}

/** Removes the links and what LevelDB wrote beside them; what the links name stays. */
export async function removeScratch(scratch: string): Promise<void> {
  await rm(scratch, { recursive: true, force: true })
}

/** On a read-only file system no process can hold the lock, and LevelDB could not open its file. */
async function isWritable(path: string): Promise<boolean> {
  try {
    await (await openFile(path, 'r+')).close()
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EROFS') return false
    throw unusableStoreError(
      `${path} cannot be locked: ${code ?? (error as Error).message}`,
      'Run this as the user that the node runs as: without the lock a node could start over the directory meanwhile.',
      error,
    )
  }
}
