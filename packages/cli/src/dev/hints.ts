import { resolve } from 'node:path'

/** Data directory of a development cluster, below the current directory. */
export const DEFAULT_DEV_DIRECTORY = '.ashlar/dev'

/** A command for the development cluster of a directory, as it can be pasted: with `--data-dir` unless it is the default. */
export function devCommand(words: string, directory: string): string {
  const isDefault = resolve(directory) === resolve(DEFAULT_DEV_DIRECTORY)
  return `ashlar ${words}${isDefault ? '' : ` --data-dir ${shellWord(resolve(directory))}`}`
}

/** A word as a shell takes it back. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
