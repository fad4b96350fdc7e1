import { createServer, type Server } from 'node:http'
import type { Register } from '@ashlar/node/internal'
import { AshlarError, parseAddress } from '@ashlar/proto'

/** Logs a listener that could not accept a connection. */
export interface GatewayApiLogger {
  warn(details: object, message: string): void
}

/** Serves /healthz and /metrics of a gateway. Rejects with CONFLICT when the port is in use; the caller closes it. */
export async function serveGatewayApi(address: string, register: Register, logger: GatewayApiLogger): Promise<Server> {
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 10_000, maxHeaderSize: 8192 },
    (request, response) => {
      const path = request.url?.split('?')[0]
      if (path === '/healthz') {
        response.end('ok\n')
        return
      }
      if (path !== '/metrics') {
        response.writeHead(404).end('there are /healthz and /metrics\n')
        return
      }
      register.expose().then(
        (text) => response.setHeader('content-type', register.contentType).end(text),
        (error: unknown) => response.writeHead(500).end(`${error instanceof Error ? error.message : error}\n`),
      )
    },
  )
  server.maxConnections = 64
  const { host, port } = parseAddress(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new AshlarError('CONFLICT', `--api: cannot listen on ${address}: ${cause.message}`, { cause }))
    })
    server.listen(port, host, () => resolve())
  })
  server.removeAllListeners('error')
  // A connection that cannot be accepted, for want of file descriptors for example, must not end the gateway.
  server.on('error', ({ message: reason }) => logger.warn({ reason }, 'listener-fault'))
  return server
}
