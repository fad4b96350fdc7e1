/**
 * Writes the golden frame of each kind that has none yet: `node --conditions=ashlar-source test/support/write-golden.ts`.
 * A frame that exists is never written again, since what one version sent every later version must read.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { encodeFrame } from '@ashlar/proto/codec'
import { goldenFile } from './golden-files.ts'
import { SAMPLES } from './sample-messages.ts'

for (const message of Object.values(SAMPLES)) {
  const file = goldenFile(message.type)
  if (existsSync(file)) continue
  const hex = Buffer.from(encodeFrame([message])).toString('hex')
  writeFileSync(file, `${hex.replace(/.{96}/g, '$&\n').trimEnd()}\n`)
}
