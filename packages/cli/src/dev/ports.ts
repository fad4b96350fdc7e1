import { connect, createServer } from 'node:net'
import { AshlarError, parseListenAddress } from '@ashlar/proto'

/** An address that a process of the cluster is going to listen on. */
export interface WantedPort {
  readonly address: string
  /** Its purpose, for messages: `the API of n1`. */
  readonly who: string
  /** What to change when it is taken. */
  readonly flag: string
}

/** Throws CONFLICT for the first address that is in use: which it is, and what to do. */
export async function checkPorts(wanted: readonly WantedPort[]): Promise<void> {
  for (const { address, who, flag } of wanted) {
    const problem = await listenProblem(address)
    if (problem === undefined) continue
    throw new AshlarError('CONFLICT', `${address}, ${who}, ${problem}`, {
      hint: `stop what uses it, or give another ${flag}`,
    })
  }
}

/** Why an address cannot be listened on, or undefined. */
async function listenProblem(address: string): Promise<string | undefined> {
  const listener = parseListenAddress(address)
  if (listener.type === 'unix') return await socketProblem(listener.path)
  const { host, port } = listener
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRINUSE' ? 'is in use' : `cannot be used: ${message}`),
    )
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

/** A socket file without a listener is left over from a process that was killed: the gateway replaces it. */
async function socketProblem(path: string): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve('is in use')
    })
    socket.once('error', () => resolve(undefined))
  })
}

/** The first bytes that an NBD server sends. */
const GREETING = 'NBDMAGIC'

/** True when an NBD server responds at HOST:PORT or unix:PATH. */
export async function answersNbd(listener: string, timeoutMs: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(parseListenAddress(listener))
    const settle = (answers: boolean): void => {
      socket.destroy()
      resolve(answers)
    }
    socket.setTimeout(timeoutMs, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('end', () => settle(false))
    socket.once('data', (bytes) => settle(bytes.toString('latin1').startsWith(GREETING)))
  })
}
