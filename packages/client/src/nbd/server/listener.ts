import { lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { AshlarError, formatListenAddress, type ListenAddress, nbdUri } from '@ashlar/proto'

/** An address that the server listens on. */
export type BoundAddress = ListenAddress & {
  /** What NBD clients call it, without an export name. */
  readonly uri: string
}

/** Where to listen: an address, or a listening socket that another process passed to this one. */
export type ListenTarget = ListenAddress | { readonly type: 'descriptor'; readonly descriptor: number }

/** How long a connect to an existing socket file may take before the file counts as stale. */
const PROBE_MS = 1000

/** TCP probes a peer after its connection was silent for so long. */
const KEEP_ALIVE_MS = 30_000

/**
 * Listens on one target; `onSocket` owns the sockets. `onError` is called when a connection could not be accepted, for
 * example for lack of file descriptors; the server goes on.
 */
export async function listen(
  target: ListenTarget,
  onSocket: (socket: Socket) => void,
  onError: (error: Error) => void,
): Promise<{ server: Server; bound: BoundAddress }> {
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  const server = createServer(options, onSocket)
  try {
    await bind(server, target)
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE' || target.type !== 'unix' || !(await removeStaleSocket(target.path))) {
      throw listenError(target, error)
    }
    await bind(server, target).catch((again) => {
      throw listenError(target, again)
    })
  }
  server.on('error', onError)
  const bound = boundAddress(server, target)
  return { server, bound: { ...bound, uri: nbdUri(bound) } }
}

function boundAddress(server: Server, target: ListenTarget): ListenAddress {
  const at = server.address()
  if (target.type === 'tcp') return at !== null && typeof at === 'object' ? { ...target, port: at.port } : target
  if (target.type === 'unix') return target
  // A unix socket that was passed on may have no name.
  return at !== null && typeof at === 'object'
    ? { type: 'tcp', host: at.address, port: at.port }
    : { type: 'unix', path: at ?? '' }
}

function bind(server: Server, target: ListenTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const onListening = (): void => {
      server.off('error', reject)
      resolve()
    }
    if (target.type === 'descriptor') server.listen({ fd: target.descriptor }, onListening)
    else if (target.type === 'unix') server.listen(target.path, onListening)
    else server.listen(target.port, target.host, onListening)
  })
}

/** Removes the file of a socket without a listener; false when a process listens on it, or when it is no socket. */
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

function listenError(address: ListenTarget, error: unknown): AshlarError {
  if (address.type === 'descriptor') {
    return new AshlarError('USAGE', `file descriptor ${address.descriptor} is not a socket that listens`, {
      hint: 'Pass a socket on which listen() was called, as socket activation does.',
      cause: error,
    })
  }
  const where = formatListenAddress(address)
  const code = codeOf(error)
  if (code === 'EADDRINUSE') {
    return new AshlarError('CONFLICT', `${where} is in use`, {
      hint:
        address.type === 'unix'
          ? 'Stop the process that listens there, or choose another path.'
          : 'Choose another port, or 0 for a free one.',
      cause: error,
    })
  }
  return new AshlarError(
    'USAGE',
    `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`,
    {
      hint:
        code === 'EACCES'
          ? 'Choose a port above 1023 or a path that you may write to.'
          : 'Check the host, port or path.',
      cause: error,
    },
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
