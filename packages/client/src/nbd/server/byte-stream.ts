import type { Duplex } from 'node:stream'

/** What a connection needs of the stream of bytes between it and its client: a socket, or a pair of pipes. */
export interface ByteStream extends Duplex {
  /** Absent where there is no network address: unix sockets and pipes. */
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Ends the stream once everything written to it is out, and stops receiving then. */
  destroySoon?(): void
}
