import { type Bytes, KIB, MIB } from '@ashlar/proto'

/** Tuning of one LevelDB database (LevelDB 1.20, as classic-level 3 bundles it). Sizes in bytes. */
export interface LevelDbOptions {
  /**
   * Size of the memtable and of its log. More: fewer and larger tables at level 0 and so less compaction; costs twice as
   * much memory, and as much log to read and as much free space to write when the database is opened again.
   */
  readonly writeBufferBytes: number
  /** Size of one table file. More: fewer files to open and to map; costs longer compactions, which rewrite more. */
  readonly maxFileBytes: number
  /** Uncompressed bytes after which a table block ends. More: fewer system calls, smaller indexes; costs bytes read for a small key. */
  readonly tableBlockBytes: number
  /** Cache of table blocks that were read without mmap. */
  readonly cacheBytes: number
  /** Table files held open or mapped at once. Less: tables are opened again and again, each time with its index read. */
  readonly maxOpenFiles: number
}

/**
 * Why these numbers (protocol finding 7: the engine is of 2017, so its own documentation was checked against its source).
 * CPU is that of random 4 KiB overwrites in synced batches of 16, merges included, by `npm run bench -- pieces engine`:
 * - writeBufferBytes: 94 us a block with the default of 4 MiB, 82 with 16, 67 with 32 and 63 with 64 MiB. 32 MiB writes a quarter
 *   more than 64 MiB and uses a third less memory and reserves half as much disk.
 * - maxFileBytes: with the default of 2 MiB, which costs the same CPU, 32 GiB of blocks are 16,000 files; with 8 MiB they are 4,000.
 *   A compaction rewrites every file of the next level that it touches: at 64 MiB a block was written 5.5 times instead of 4.2.
 * - tableBlockBytes: LevelDB writes every table block with a system call of its own. With the default of 4 KiB each block of a
 *   volume is a table block by itself; with 64 KiB a random overwrite took a sixth less CPU, 67 instead of 80 us, and a
 *   read a third less (docs/benchmarks.md). A mapped table is read where its entry is, so that large blocks cost nothing;
 *   beyond the mapped ones a read of one key copies 64 KiB. That is why it is not 256 KiB, which took 57 us.
 * - cacheBytes: without compression the tables that are mapped (the first 1,000) are never put into this cache
 *   (table/format.cc), so that only larger stores use it, and the page cache of the system serves them as well.
 * - maxOpenFiles: the first 1,000 tables are mapped and hold no descriptor; 4,096 keeps 32 GiB of tables open.
 * Compression is always off: guests compress and encrypt, and snappy made flipped bits fail more quietly (finding 3).
 */
export const LEVELDB_DEFAULTS: LevelDbOptions = {
  writeBufferBytes: 32 * MIB,
  maxFileBytes: 8 * MIB,
  tableBlockBytes: 64 * KIB,
  cacheBytes: 8 * MIB,
  maxOpenFiles: 4096,
}

/** Disks below 128 times the write buffer get a smaller one: what it needs to work is kept free (A2.19-1). */
const DISK_FACTOR = 128
const TABLE_FACTOR = 4

/** The defaults for a disk of this size: on a small one with smaller buffers and files, so that most of it can be used. */
export function engineFor(totalBytes: Bytes): LevelDbOptions {
  const { writeBufferBytes, maxFileBytes } = LEVELDB_DEFAULTS
  const buffer = Math.min(writeBufferBytes, wholeMib(totalBytes / DISK_FACTOR))
  return {
    ...LEVELDB_DEFAULTS,
    writeBufferBytes: buffer,
    maxFileBytes: Math.min(maxFileBytes, wholeMib(buffer / TABLE_FACTOR)),
  }
}

function wholeMib(bytes: Bytes): Bytes {
  return Math.max(1, Math.floor(bytes / MIB)) * MIB
}
