import type { ByteReader, ByteWriter } from './bytes.ts'

/**
 * How one kind of message becomes a record and comes back. `writeHead` and `read` check every field (fields.ts); `read`
 * gives a fresh object, whose byte arrays are views of the frame. Both throw BAD_FRAME. `wire` is the version of the
 * frame: a field that came later is neither written in an older one nor read from it.
 */
export interface KindCodec<M> {
  /** First wire version that has this kind; absent: every version has it. */
  readonly since?: number
  /** Bytes that the head takes at most in any wire version; exact for fixed layouts in the newest one. */
  headBytes(message: M): number
  writeHead(to: ByteWriter, message: M, wire: number): void
  /** Raw bytes beside the head, in order. Absent for kinds that have none. */
  payload?(message: M): readonly Uint8Array[]
  /** `head` is read to its end by the caller's check; `payload` is empty for kinds that have none. */
  read(head: ByteReader, payload: Uint8Array, wire: number): M
}
