import { fstatSync, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { ByteStream } from '@ashlar/client/nbd'
import { AshlarError } from '@ashlar/proto'

/** Descriptor of the first socket that socket activation passes (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3
const MAX_DESCRIPTORS = 64

/**
 * Sockets that the program which started this process made to listen: those of LISTEN_FDS, when LISTEN_PID says that they
 * are meant for this process (sd_listen_fds(3)). Throws USAGE for a count that is not a number from 0 to 64.
 */
export function inheritedSockets(environment: Readonly<Record<string, string | undefined>>, pid: number): number[] {
  const count = environment['LISTEN_FDS']
  if (count === undefined || environment['LISTEN_PID'] !== String(pid)) return []
  if (!/^\d{1,3}$/.test(count) || Number(count) > MAX_DESCRIPTORS) {
    throw new AshlarError('USAGE', `LISTEN_FDS is "${count}"`, {
      hint: `it is how many sockets are passed, from 0 to ${MAX_DESCRIPTORS}`,
    })
  }
  return Array.from({ length: Number(count) }, (_, at) => FIRST_DESCRIPTOR + at)
}

/**
 * Standard input and output as one stream to a client: one socket that is both, or two pipes. Throws USAGE for terminals
 * and files.
 */
export function standardStream(): ByteStream {
  const [input, output] = [fstatSync(0), fstatSync(1)]
  if (!carriesBytes(input) || !carriesBytes(output)) {
    throw new AshlarError('USAGE', '--stdio: standard input and output are not connected to a client', {
      hint: 'let a client start the gateway on a socket or on pipes, as h.connect_command of nbdsh does',
    })
  }
  if (input.isSocket() && input.ino === output.ino) return new Socket({ fd: 0, allowHalfOpen: true })
  const readable = new Socket({ fd: 0, readable: true, writable: false, allowHalfOpen: true })
  const writable = new Socket({ fd: 1, readable: false, writable: true, allowHalfOpen: true })
  return new PipePair(readable, writable)
}

/** Two pipes as one stream. */
class PipePair extends Duplex {
  readonly #readable: Socket
  readonly #writable: Socket

  constructor(readable: Socket, writable: Socket) {
    super({ allowHalfOpen: true })
    this.#readable = readable
    this.#writable = writable
    readable.on('data', (bytes) => {
      if (!this.push(bytes)) readable.pause()
    })
    readable.on('end', () => this.push(null))
    for (const pipe of [readable, writable]) pipe.on('error', (error) => this.destroy(error))
  }

  override _read(): void {
    this.#readable.resume()
  }

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#writable.write(bytes, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#writable.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#readable.destroy()
    this.#writable.destroy()
    done(error)
  }
}

function carriesBytes(stats: Stats): boolean {
  return stats.isSocket() || stats.isFIFO()
}
