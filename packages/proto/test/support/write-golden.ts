/**
 * Writes the golden frame of each kind that has none yet: `node --conditions=ashlar-source test/support/write-golden.ts`.
 * A frame that exists is never written again, since what one version sent every later version must read.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AnyMessage } from '@ashlar/proto'
import { kindSince } from '@ashlar/proto/codec'
import { encode } from './frames.ts'
import { goldenFile } from './golden-files.ts'
import { SAMPLES, WIRE_3_SAMPLES } from './sample-messages.ts'

function write(file: string, message: AnyMessage, wire: number): void {
  if (existsSync(file)) return
  mkdirSync(dirname(file), { recursive: true })
  const hex = Buffer.from(encode([message], wire)).toString('hex')
  writeFileSync(file, `${hex.replace(/.{96}/g, '$&\n').trimEnd()}\n`)
}

for (const message of Object.values(SAMPLES)) write(goldenFile(message.type), message, kindSince(message.type))
for (const message of Object.values(WIRE_3_SAMPLES)) write(goldenFile(message.type, 3), message, 3)
