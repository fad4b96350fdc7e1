import type { Bytes } from '@ashlar/proto'
import type { LevelDbOptions } from '../../../packages/node/src/storage/index.ts'
import { median } from '../../kit/statistics.ts'
import type { BenchOptions } from '../options.ts'

export type PieceKind = 'disk' | 'bare-store' | 'ashlar-store' | 'websocket-server' | 'websocket-client' | 'nbd-server'

export interface PieceSettings {
  /** Directory of a store. */
  readonly directory?: string
  /** Bytes of blocks that are overwritten. */
  readonly sizeBytes?: Bytes
  /** Operations at once: in one batch of a store, in one frame of a connection. */
  readonly atOnce?: number
  /** Where the other side listens. */
  readonly address?: string
  /** What a bare store has other than `LEVELDB_DEFAULTS`. */
  readonly engine?: Partial<LevelDbOptions>
  /** LevelDB's own compression. */
  readonly compression?: boolean
  /** Bytes of one value of a bare store: one block, or whole blocks. */
  readonly valueBytes?: Bytes
  /** Databases that a bare store divides its bytes among. */
  readonly databases?: number
}

/** One piece of a write, ready to run in a process of its own. */
export interface Piece {
  /** Where it listens, when it does. */
  readonly address?: string
  /** Works until the moment of `performance.now()`, and gives the number of operations. A server just waits for it. */
  run(untilMs: number): Promise<number>
  /** The same with reads, where there is something to read. */
  read?(untilMs: number): Promise<number>
  close(): Promise<void>
}

/** What of a piece is measured: its `run`, or its `read`. */
export type PieceWork = 'run' | 'read'

export type ToWorker =
  | { readonly do: 'measure'; readonly work: PieceWork; readonly seconds: number }
  | { readonly do: 'end' }

export type FromWorker =
  | { readonly did: 'start'; readonly address?: string }
  | ({ readonly did: 'measure' } & ProcessFigures)

export interface WorkerFigures {
  readonly operations: number
  readonly seconds: number
  /** CPU of all threads of the process. */
  readonly cpuSeconds: number
}

/** What a worker knows of itself. */
export interface ProcessFigures extends WorkerFigures {
  /**
   * Bytes that its system calls wrote meanwhile, `wchar` of /proc/self/io: pages that a sync writes again do not count.
   */
  readonly writtenBytes: Bytes
}

export const BLOCK_BYTES: Bytes = 4096

/** What one piece reached: medians of the repeats. */
export interface PieceResult {
  readonly name: string
  /** Processes that did the same at the same time. */
  readonly together: number
  /** Of each of them. */
  readonly operationsPerSecond: number
  /** CPU of all threads of all processes for one operation. */
  readonly cpuUs: number
  /** Operations a second as a share of those of the next row, which did the same in turns with it. */
  readonly ofNext?: number
}

export interface PieceContext {
  readonly options: BenchOptions
  readonly signal: AbortSignal
  readonly log: (line: string) => void
}

/** Medians over rounds; in each of them some processes did the same at once. */
export function mediansOf(
  rounds: readonly (readonly WorkerFigures[])[],
): Pick<PieceResult, 'operationsPerSecond' | 'cpuUs'> {
  const sum = (round: readonly WorkerFigures[], of: (figures: WorkerFigures) => number) =>
    round.reduce((total, figures) => total + of(figures), 0)
  const rate = ({ operations, seconds }: WorkerFigures) => operations / seconds
  return {
    operationsPerSecond: median(rounds.map((round) => sum(round, rate) / round.length)),
    cpuUs: median(
      rounds.map(
        (round) => (sum(round, ({ cpuSeconds }) => cpuSeconds) * 1e6) / sum(round, ({ operations }) => operations),
      ),
    ),
  }
}
