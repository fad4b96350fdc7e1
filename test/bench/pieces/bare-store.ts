import { InvariantError } from '@ashlar/proto'
import { ClassicLevel } from 'classic-level'
import { LEVELDB_DEFAULTS } from '../../../packages/node/src/storage/index.ts'
import { BlockSource, below } from './content.ts'
import { BLOCK_BYTES, type Piece, type PieceSettings } from './piece.ts'

const DATA = 1
const VERSION = 2
const KEY_BYTES = 13
/** As long as what Ashlar keeps of a block: epoch, seq, checksum, kind. */
const VERSION_BYTES = 21

/**
 * LevelDB by itself: synced batches of data and version of `atOnce` random blocks, one batch in flight. What Ashlar's own
 * store is compared with: nothing that keeps blocks in LevelDB can be faster.
 */
export async function bareStore({ directory, sizeBytes = 0, atOnce = 16 }: PieceSettings): Promise<Piece> {
  if (directory === undefined) throw new InvariantError('a bare store needs a directory')
  const database = new ClassicLevel<Uint8Array, Uint8Array>(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: LEVELDB_DEFAULTS.writeBufferBytes,
    maxFileSize: LEVELDB_DEFAULTS.maxFileBytes,
    blockSize: LEVELDB_DEFAULTS.tableBlockBytes,
    cacheSize: LEVELDB_DEFAULTS.cacheBytes,
    maxOpenFiles: LEVELDB_DEFAULTS.maxOpenFiles,
  })
  await database.open()
  const source = new BlockSource()
  const blocks = sizeBytes / BLOCK_BYTES
  const write = async (blockAt: (index: number) => number) => {
    const operations = Array.from({ length: atOnce }, (_, index) => blockAt(index)).flatMap((block) => [
      { type: 'put' as const, key: keyOf(VERSION, block), value: new Uint8Array(VERSION_BYTES).fill(block) },
      { type: 'put' as const, key: keyOf(DATA, block), value: source.next().bytes },
    ])
    await database.batch(operations, { sync: true })
  }
  // As it will be measured, synced: a faster warm-up would leave compactions behind that the measurement then pays for.
  for (let first = 0; first < blocks; first += atOnce) await write((index) => first + index)
  for (let written = 0; written < blocks; written += atOnce) await write(() => below(blocks))
  return {
    async run(untilMs) {
      let operations = 0
      for (; performance.now() < untilMs; operations += atOnce) await write(() => below(blocks))
      return operations
    },
    close: () => database.close(),
  }
}

function keyOf(prefix: number, block: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES)
  key[0] = prefix
  new DataView(key.buffer).setUint32(KEY_BYTES - 4, block)
  return key
}
