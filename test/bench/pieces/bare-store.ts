import { join } from 'node:path'
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
 * Bytes of a batch that fills, and of a read: whatever is measured, each store begins in the same state and is read
 * alike.
 */
const USUAL_BYTES = 16 * BLOCK_BYTES

type Database = ClassicLevel<Uint8Array, Uint8Array>

/**
 * LevelDB by itself: synced batches of data and version of `atOnce` random values, one batch in flight for each
 * database. What Ashlar's own store is compared with: nothing that keeps blocks in LevelDB can be faster. An operation
 * is `BLOCK_BYTES` written or read, so that a value of 64 KiB counts as sixteen.
 */
export async function bareStore(settings: PieceSettings): Promise<Piece> {
  const { sizeBytes = 0, atOnce = 16, databases: count = 1, valueBytes = BLOCK_BYTES } = settings
  const databases = await Promise.all(Array.from({ length: count }, (_, number) => openDatabase(settings, number)))
  const source = new BlockSource(valueBytes)
  const values = Math.floor(sizeBytes / valueBytes / count)
  const blocksOfValue = valueBytes / BLOCK_BYTES
  const usualAtOnce = Math.max(1, Math.floor(USUAL_BYTES / valueBytes))
  const write = async (database: Database, length: number, valueAt: (index: number) => number) => {
    const operations = Array.from({ length }, (_, index) => valueAt(index)).flatMap((value) => [
      { type: 'put' as const, key: keyOf(VERSION, value), value: new Uint8Array(VERSION_BYTES).fill(value) },
      { type: 'put' as const, key: keyOf(DATA, value), value: source.next().bytes },
    ])
    await database.batch(operations, { sync: true })
  }
  const read = async (database: Database) => {
    const keys = Array.from({ length: usualAtOnce }, () => keyOf(DATA, below(values)))
    const found = await database.getMany(keys)
    if (found.some((value) => value?.length !== valueBytes)) throw new InvariantError('a value is not there')
  }
  /** Works on all databases, each by itself, until that moment; gives the blocks of it. */
  const repeat = async (untilMs: number, atOnceEach: number, work: (database: Database) => Promise<void>) => {
    let operations = 0
    const one = async (database: Database) => {
      for (; performance.now() < untilMs; operations += atOnceEach * blocksOfValue) await work(database)
    }
    await Promise.all(databases.map(one))
    return operations
  }
  // As it will be measured, synced: a faster warm-up would leave compactions behind that the measurement then pays for.
  for (const database of databases) {
    for (let first = 0; first < values; first += usualAtOnce) {
      await write(database, usualAtOnce, (index) => Math.min(first + index, values - 1))
    }
    for (let written = 0; written < values; written += usualAtOnce) {
      await write(database, usualAtOnce, () => below(values))
    }
  }
  return {
    run: (untilMs) => repeat(untilMs, atOnce, (database) => write(database, atOnce, () => below(values))),
    read: (untilMs) => repeat(untilMs, usualAtOnce, read),
    async close() {
      for (const database of databases) await database.close()
    },
  }
}

async function openDatabase({ directory, compression = false, engine }: PieceSettings, number: number) {
  if (directory === undefined) throw new InvariantError('a bare store needs a directory')
  const options = { ...LEVELDB_DEFAULTS, ...engine }
  const database: Database = new ClassicLevel(join(directory, `${number}`), {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression,
    writeBufferSize: options.writeBufferBytes,
    maxFileSize: options.maxFileBytes,
    blockSize: options.tableBlockBytes,
    cacheSize: options.cacheBytes,
    maxOpenFiles: options.maxOpenFiles,
  })
  await database.open()
  return database
}

function keyOf(prefix: number, block: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES)
  key[0] = prefix
  new DataView(key.buffer).setUint32(KEY_BYTES - 4, block)
  return key
}
