import { readFileSync } from 'node:fs'

/** Version of this package, and so of every package: they are released together. */
export const VERSION: string = readVersion()

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
