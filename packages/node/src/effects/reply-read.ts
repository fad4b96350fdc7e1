import { BLOCK_DATA, type ReadDone, type ReadPart } from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'
import type { Effect } from '../core/machine.ts'

/**
 * The response to a read: its blocks cut to the requested byte range. A whole block is sent with its stored checksum, a
 * part of one with a checksum of its own; blocks without data become holes. The parts are views of the blocks' bytes.
 */
export function readDone(effect: Extract<Effect, { type: 'reply-read' }>): ReadDone {
  const parts: ReadPart[] = []
  const end = effect.offset + effect.length
  let hole = 0
  const endHole = () => {
    if (hole > 0) parts.push({ length: hole, checksum: 0 })
    hole = 0
  }
  for (const loaded of effect.blocks) {
    const start = loaded.block * effect.blockSizeBytes
    const from = Math.max(0, effect.offset - start)
    const to = Math.min(effect.blockSizeBytes, end - start)
    if (loaded.version.kind !== BLOCK_DATA || loaded.bytes === undefined) {
      hole += to - from
      continue
    }
    endHole()
    const whole = from === 0 && to === effect.blockSizeBytes
    const bytes = whole ? loaded.bytes : loaded.bytes.subarray(from, to)
    parts.push({ length: to - from, checksum: whole ? loaded.version.checksum : checksum(bytes), bytes })
  }
  endHole()
  return { type: 'read-done', request: effect.request, parts }
}
