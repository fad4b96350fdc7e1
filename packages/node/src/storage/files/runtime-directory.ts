import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AshlarError } from '@ashlar/proto'

/** Where to look for a place that outlives a data directory, best first. The first two are in memory on Linux. */
function candidates(): string[] {
  const own = `ashlar-${process.getuid?.() ?? 'user'}`
  return ['/run/ashlar', join('/dev/shm', own), join(tmpdir(), own)]
}

/**
 * A directory outside every data directory, for files that need not outlive the boot of the machine. It belongs to this user,
 * and no other user may write to it, since its files can keep a node from starting. Rejects when there is none.
 */
export async function runtimeDirectory(places: readonly string[] = candidates()): Promise<string> {
  const problems: string[] = []
  for (const place of places) {
    const problem = await make(place).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
    if (problem === undefined) return place
    problems.push(`${place}: ${problem}`)
  }
  throw new AshlarError('INTERNAL', `no directory for marks of this boot: ${problems.join('; ')}`)
}

/** Why it cannot be used, or undefined. */
async function make(place: string): Promise<string | undefined> {
  await mkdir(place, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(place)
  if (!found.isDirectory()) return 'not a directory'
  const uid = process.getuid?.()
  if (uid !== undefined && found.uid !== uid) return 'belongs to another user'
  return (found.mode & 0o022) === 0 ? undefined : 'others may write to it'
}
