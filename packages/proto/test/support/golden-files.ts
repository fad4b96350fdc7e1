import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export function goldenFile(type: string): string {
  return fileURLToPath(new URL(`../golden/${type}.hex`, import.meta.url))
}

export function readGolden(type: string): Uint8Array {
  return new Uint8Array(Buffer.from(readFileSync(goldenFile(type), 'utf8').replaceAll('\n', ''), 'hex'))
}
