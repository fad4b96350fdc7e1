import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from '../files/directories.ts'
import type { Layout } from './layout.ts'

/**
 * LevelDB drops damaged records when it opens and reports them only in its text file LOG, which it renames to LOG.old and
 * then overwrites at the next two openings (finding 4, leveldb finding 8). Files that were not read yet are therefore kept.
 *
 *   logs/000017.LOG        moved here before opening 17 and not read yet
 *   logs/000017.LOG.read   read
 */
const ENGINE_LOGS = ['LOG.old', 'LOG'] as const
const MOVED = /^(\d{6,})\.(LOG(?:\.old)?)(\.read)?$/
/** Files that were read and are kept for an operator. */
const KEPT_READ_FILES = 8
/** What LevelDB writes when it drops records. */
const EVIDENCE = /dropping \d+ bytes|Corruption:/

/** Moves the engine's LOG files away before it opens. */
export async function moveEngineLogs(layout: Layout): Promise<void> {
  await mkdir(layout.logs, { recursive: true })
  const present = new Set(await readdir(layout.database))
  const numbers = (await readdir(layout.logs)).map((name) => Number(MOVED.exec(name)?.[1] ?? 0))
  const number = String(Math.max(0, ...numbers) + 1).padStart(6, '0')
  for (const name of ENGINE_LOGS) {
    if (present.has(name)) await rename(join(layout.database, name), join(layout.logs, `${number}.${name}`))
  }
  await syncDirectory(layout.logs)
  await syncDirectory(layout.database)
}

/** Lines of every unread LOG, the current one included, that report dropped records (A2.17-1). */
export async function findEvidence(layout: Layout): Promise<string[]> {
  const lines: string[] = []
  for (const name of await unreadFiles(layout.logs)) lines.push(...(await evidenceOf(join(layout.logs, name))))
  lines.push(...(await evidenceOf(join(layout.database, 'LOG'))))
  return lines
}

/** Marks the moved files as read, once their evidence is on stable storage, and removes the oldest ones. */
export async function markEngineLogsRead(layout: Layout): Promise<void> {
  for (const name of await unreadFiles(layout.logs)) {
    await rename(join(layout.logs, name), join(layout.logs, `${name}.read`))
  }
  const read = (await readdir(layout.logs)).filter((name) => MOVED.exec(name)?.[3] !== undefined).sort()
  for (const name of read.slice(0, -KEPT_READ_FILES)) await rm(join(layout.logs, name), { force: true })
}

async function unreadFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => MOVED.test(name) && !name.endsWith('.read')).sort()
}

/** Lines of one LOG that report dropped records; none when there is no such file. */
export async function evidenceOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').filter((line) => EVIDENCE.test(line))
}
