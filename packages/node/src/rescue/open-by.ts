import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { quoted } from '../admin/todo.ts'
import { devDirectoryOf } from '../runtime/dev-cluster.ts'
import { databaseLock } from '../storage/index.ts'
import { isInUse } from '../storage/offline/index.ts'

/** The error of a directory that a node runs over, with the process and what stops it; any other error as it is. */
export async function namingHolder(error: unknown, directory: string): Promise<unknown> {
  if (!isInUse(error)) return error
  const pid = await holderOf(databaseLock(directory))
  const process = pid === undefined ? 'another process' : `process ${pid}`
  // The directory of a node that `ashlar dev` runs has its name.
  const name = basename(directory)
  const dev = devDirectoryOf(directory, name)
  const node = dev === undefined ? 'a node' : name
  return new AshlarError('CONFLICT', `${directory} is in use: ${node} runs over it as ${process}`, {
    hint: howToStop(name, dev, pid),
    cause: error,
  })
}

function howToStop(name: string, dev: string | undefined, pid: number | undefined): string {
  if (dev !== undefined) return `stop it: ashlar dev stop ${name} --data-dir ${quoted(dev)}`
  return pid === undefined ? 'stop the node that runs over it' : `stop that node, as with: kill ${pid}`
}

/** The process that holds a POSIX lock on the file, where the system lists locks. */
async function holderOf(path: string): Promise<number | undefined> {
  try {
    const { ino } = await stat(path)
    const locks = await readFile('/proc/locks', 'utf8')
    for (const line of locks.split('\n')) {
      const [, , , , pid, place] = line.trim().split(/\s+/)
      if (place?.split(':').at(-1) === String(ino) && Number(pid) > 0) return Number(pid)
    }
  } catch {
    return undefined
  }
  return undefined
}
