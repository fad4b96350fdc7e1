import type { ByteReader, ByteWriter } from './bytes.ts'

/**
 * How one kind of message becomes a record and comes back. `writeHead` and `read` check every field (fields.ts); `read`
 * gives a fresh object, whose byte arrays are views of the frame. Both throw BAD_FRAME.
 */
export interface KindCodec<M> {
  /** Bytes that the head takes at most; exact for fixed layouts. */
  headBytes(message: M): number
  writeHead(to: ByteWriter, message: M): void
  /** Raw bytes beside the head, in order. Absent for kinds that have none. */
  payload?(message: M): readonly Uint8Array[]
  /** `head` is read to its end by the caller's check; `payload` is empty for kinds that have none. */
  read(head: ByteReader, payload: Uint8Array): M
}
