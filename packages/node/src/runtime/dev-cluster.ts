import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** `ashlar dev` keeps its state in this file, and the data directory of each node beside it. */
const FILE = 'dev.json'

/** Directory of the `ashlar dev` that made a node's data directory; undefined when another program did. */
export function devDirectoryOf(dataDir: string, name: string): string | undefined {
  const directory = dirname(resolve(dataDir))
  return basename(dataDir) === name && existsSync(join(directory, FILE)) ? directory : undefined
}

/** Name of the node that it runs at a peer address. */
export function devNameAt(directory: string, address: string): string | undefined {
  try {
    const { nodes } = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as {
      nodes?: readonly { readonly id?: unknown; readonly peer?: unknown }[]
    }
    const id = nodes?.find(({ peer }) => peer === address)?.id
    return typeof id === 'string' ? id : undefined
  } catch {
    // A command that only shortens what an operator types: without the file the address is shown.
    return undefined
  }
}
