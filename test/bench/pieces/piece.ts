import type { Bytes } from '@ashlar/proto'

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
}

/** One piece of a write, ready to run in a process of its own. */
export interface Piece {
  /** Where it listens, when it does. */
  readonly address?: string
  /** Works until the moment of `performance.now()`, and gives the number of operations. A server just waits for it. */
  run(untilMs: number): Promise<number>
  close(): Promise<void>
}

export type ToWorker = { readonly do: 'measure'; readonly seconds: number } | { readonly do: 'end' }

export type FromWorker =
  | { readonly did: 'start'; readonly address?: string }
  | ({ readonly did: 'measure' } & WorkerFigures)

export interface WorkerFigures {
  readonly operations: number
  readonly seconds: number
  /** CPU of all threads of the process. */
  readonly cpuSeconds: number
}

export const BLOCK_BYTES: Bytes = 4096
