import { copyFile, mkdtemp, open as openFile, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { unusableStoreError } from '../errors.ts'

/**
 * LevelDB writes when it opens: it renames LOG, turns its logs into tables, starts a new MANIFEST and deletes what is
 * obsolete. A database that must stay as it is is therefore opened under another directory, made of symbolic links:
 *
 *   CURRENT                           copied, since LevelDB replaces it
 *   *.ldb, *.sst, *.log, MANIFEST-*   links: LevelDB only reads them, and deletes the link where it would delete the file
 *   LOCK                              a link, so that the lock is that of the database itself: a node that has it open is
 *                                     found, and none can start over it meanwhile
 *   LOG, LOG.old                      left out; what this opening tells is in a LOG of its own
 *
 * Whatever LevelDB writes lands beside the links, at most about two write buffers and what it compacts.
 */
const LINKED = /^(?:\d+\.(?:ldb|sst|log)|MANIFEST-\d+)$/
const LOCK = 'LOCK'
const CURRENT = 'CURRENT'

/**
 * Makes such a directory under the system's directory for temporary files (TMPDIR names another). The caller removes it with
 * `removeScratch`. Throws an AshlarError CONFLICT when there is no database.
 */
export async function makeScratch(database: string): Promise<string> {
  const source = resolve(database)
  const names = await readdir(source).catch((cause: NodeJS.ErrnoException) => {
    throw unusableStoreError(
      `the database in ${source} cannot be read: ${cause.code ?? cause.message}`,
      'Name the data directory of a node, as --data-dir named it.',
      cause,
    )
  })
  const scratch = await mkdtemp(join(tmpdir(), 'ashlar-offline-'))
  try {
    for (const name of names) {
      if (LINKED.test(name)) await symlink(join(source, name), join(scratch, name))
    }
    if (names.includes(CURRENT)) await copyFile(join(source, CURRENT), join(scratch, CURRENT))
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

/** On a file system that is mounted read-only nobody can hold the lock, and LevelDB could not open its file. */
async function isWritable(path: string): Promise<boolean> {
  try {
    await (await openFile(path, 'r+')).close()
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EROFS') return false
    throw error
  }
}
