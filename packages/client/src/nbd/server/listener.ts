import { lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { AshlarError, formatListenAddress, type ListenAddress, nbdUri } from '@ashlar/proto'

/** An address that the server listens on. */
export type BoundAddress = ListenAddress & {
  /** What NBD clients call it, without an export name. */
  readonly uri: string
}

/** How long a socket file may take to prove that somebody listens behind it. */
const PROBE_MS = 1000

/** A peer that vanished without a word is probed after its connection was silent for so long. */
const KEEP_ALIVE_MS = 30_000

/**
 * Listens on one address; `onSocket` owns the sockets. `onError` is told when a connection could not be accepted, for want
 * of file descriptors for example; the server goes on.
 */
export async function listen(
  address: ListenAddress,
  onSocket: (socket: Socket) => void,
  onError: (error: Error) => void,
): Promise<{ server: Server; bound: BoundAddress }> {
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  const server = createServer(options, onSocket)
  try {
    await bind(server, address)
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE' || address.type !== 'unix' || !(await removeStaleSocket(address.path))) {
      throw listenError(address, error)
    }
    await bind(server, address).catch((again) => {
      throw listenError(address, again)
    })
  }
  server.on('error', onError)
  const at = server.address()
  const bound =
    at !== null && typeof at === 'object' && address.type === 'tcp' ? { ...address, port: at.port } : address
  return { server, bound: { ...bound, uri: nbdUri(bound) } }
}

function bind(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const onListening = (): void => {
      server.off('error', reject)
      resolve()
    }
    if (address.type === 'unix') server.listen(address.path, onListening)
    else server.listen(address.port, address.host, onListening)
  })
}

/** Removes the file of a socket that nobody listens behind; false when somebody does, or when it is no socket. */
async function removeStaleSocket(path: string): Promise<boolean> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat === undefined) return true
  if (!stat.isSocket() || !(await refusesConnections(path))) return false
  await unlink(path)
  return true
}

function refusesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const finish = (refused: boolean): void => {
      socket.destroy()
      resolve(refused)
    }
    socket.setTimeout(PROBE_MS, () => finish(false))
    socket.once('connect', () => finish(false))
    socket.once('error', (error) => finish(codeOf(error) === 'ECONNREFUSED'))
  })
}

function listenError(address: ListenAddress, error: unknown): AshlarError {
  const where = formatListenAddress(address)
  const code = codeOf(error)
  if (code === 'EADDRINUSE') {
    return new AshlarError('CONFLICT', `${where} is in use`, {
      hint:
        address.type === 'unix'
          ? 'stop what listens there, or choose another path'
          : 'choose another port, or 0 for a free one',
      cause: error,
    })
  }
  return new AshlarError(
    'USAGE',
    `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`,
    {
      hint:
        code === 'EACCES' ? 'choose a port above 1023 or a path that you may write to' : 'check the host, port or path',
      cause: error,
    },
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
