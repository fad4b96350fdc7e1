import { KIB, MIB } from '@ashlar/proto'
import type { LevelDbOptions } from '../../../../packages/node/src/storage/index.ts'
import type { PieceSettings } from '../piece.ts'

/** A way to run the engine. */
export interface EngineVariant {
  readonly name: string
  /** All that is other than with ours. */
  readonly change: Pick<PieceSettings, 'engine' | 'compression' | 'valueBytes' | 'databases' | 'atOnce'>
}

/** Blocks that a batch holds, unless a variant says otherwise: what group commit makes of a node under load. */
export const BATCH_BLOCKS = 16

const option = (name: string, engine: Partial<LevelDbOptions>): EngineVariant => ({ name, change: { engine } })

/** Ours first, then each with one thing changed; LevelDB's own default is among them where ours is another. */
export const ENGINE_VARIANTS: readonly EngineVariant[] = [
  { name: 'ours', change: {} },
  ...[4, 16, 64].map((size) => option(`write buffer ${size} MiB`, { writeBufferBytes: size * MIB })),
  ...[2, 32, 64].map((size) => option(`table file ${size} MiB`, { maxFileBytes: size * MIB })),
  ...[4, 16, 256].map((size) => option(`table block ${size} KiB`, { tableBlockBytes: size * KIB })),
  option('cache 64 MiB', { cacheBytes: 64 * MIB }),
  option('open files 1,000', { maxOpenFiles: 1000 }),
  { name: 'compression', change: { compression: true } },
  { name: 'two stores', change: { databases: 2 } },
  { name: 'batch of 1', change: { atOnce: 1 } },
  { name: 'batch of 64', change: { atOnce: 64 } },
  // As many bytes a batch as sixteen blocks have.
  { name: 'values of 64 KiB', change: { valueBytes: 64 * KIB, atOnce: 1 } },
]
