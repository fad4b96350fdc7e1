import { randomBytes } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { InvariantError, KIB, MIB } from '@ashlar/proto'
import type { Piece, PieceSettings } from './piece.ts'

/** What LevelDB's log gets for a batch of 16 blocks. */
const APPENDED_BYTES = 68 * KIB
/** A log that is longer is left for a new one. */
const LOG_BYTES = 64 * MIB

/** The disk by itself: bytes of one batch appended to a file and synced, one at a time, as LevelDB's log is written. */
export async function disk({ directory }: PieceSettings): Promise<Piece> {
  if (directory === undefined) throw new InvariantError('a disk needs a directory')
  await mkdir(directory, { recursive: true })
  const bytes = randomBytes(APPENDED_BYTES)
  return {
    async run(untilMs) {
      let operations = 0
      for (let number = 0; performance.now() < untilMs; number++) {
        // Two files in turn, so that the space of old ones is used again.
        const file = await open(join(directory, `log-${number % 2}`), 'w')
        try {
          for (let length = 0; length < LOG_BYTES && performance.now() < untilMs; length += APPENDED_BYTES) {
            await file.write(bytes)
            await file.datasync()
            operations++
          }
        } finally {
          await file.close()
        }
      }
      return operations
    },
    close: async () => undefined,
  }
}
