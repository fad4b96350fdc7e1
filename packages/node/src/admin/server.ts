import { AshlarError, ERRORS, formatAddress, isLoopback, parseAddress } from '@ashlar/proto'
import fastifySwagger from '@fastify/swagger'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { Logger } from 'pino'
import { controlRoutes } from './control-members.ts'
import { detachRoutes } from './detach-routes.ts'
import { errorResponse, sendError, sendNotFound } from './errors.ts'
import { holderRoutes } from './holder-routes.ts'
import { lossRoutes } from './loss-routes.ts'
import type { NodeView } from './node-view.ts'
import { withoutUnusedSchemas } from './openapi.ts'
import { type FetchPeer, fetchPeer } from './peers.ts'
import { clusterRoutes, localRoutes, volumeRoutes } from './routes.ts'
import { type ScrubView, scrubRoutes } from './scrub.ts'

export interface AdminServerOptions {
  readonly view: NodeView
  readonly log: Logger
  /** Text and content type of /metrics. */
  readonly metrics: { readonly contentType: string; expose(): Promise<string> }
  /** Absent: this node has no scrub. */
  readonly scrub?: ScrubView
  /** How other nodes are reached; HTTP unless a test replaces it. */
  readonly fetchPeer?: FetchPeer
}

/** Monitoring requests these paths all day: they are not logged. */
const UNLOGGED_PATHS = new Set(['/healthz', '/readyz', '/metrics'])
const OK = 'ok\n'

/** The HTTP API of a node, not listening yet: `inject` of the result is how tests call it. */
export async function createAdminServer(options: AdminServerOptions): Promise<FastifyInstance> {
  const { view, metrics, scrub } = options
  const ask = options.fetchPeer ?? fetchPeer
  const server = Fastify({
    loggerInstance: options.log as FastifyBaseLogger,
    // Requests are logged by the hook below, at debug.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    // A connection that sends slowly, or many headers, must not hold a socket for long (an attack by slow clients).
    connectionTimeout: 30_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 30_000,
    http: { headersTimeout: 5000, maxHeaderSize: 8 * 1024 },
    forceCloseConnections: 'idle',
  })
  server.server.maxHeadersCount = 50
  server.server.maxConnections = 256
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler(serializerCompiler)
  server.setErrorHandler(sendError)
  server.setNotFoundHandler(sendNotFound)
  server.addHook('onRequest', (request, _reply, done) => done(foreignHost(request)))
  server.addHook('onResponse', (request, reply, done) => {
    if (!UNLOGGED_PATHS.has(request.url)) {
      const { method, url } = request
      request.log.debug({ method, url, status: reply.statusCode, tookMs: Math.round(reply.elapsedTime) }, 'request')
    }
    done()
  })
  await server.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Ashlar', description: 'API of one node of a cluster.', version: view.version },
    },
    transform: jsonSchemaTransform,
    transformObject: withoutUnusedSchemas,
  })
  await server.register(clusterRoutes(view, ask))
  await server.register(volumeRoutes(view, ask))
  await server.register(lossRoutes(view, ask))
  await server.register(detachRoutes(view))
  await server.register(holderRoutes(view, ask))
  await server.register(controlRoutes(view, ask))
  await server.register(localRoutes(view))
  if (scrub !== undefined) await server.register(scrubRoutes(scrub))
  registerProbes(server, view, metrics)
  await server.ready()
  return server
}

/**
 * The refusal of a request to a loopback listener with another host name, or undefined. A web page can let its own
 * name resolve to loopback; its scripts then count as of the same origin and may do all that the API does (DNS rebinding).
 */
function foreignHost({ server, hostname }: FastifyRequest): AshlarError | undefined {
  const listener = server.server.address()
  if (typeof listener !== 'object' || listener === null || !isLoopback(listener.address)) return undefined
  const host = hostname.replace(/^\[|\]$/g, '')
  if (host === '' || isLoopback(host)) return undefined
  return new AshlarError('READ_ONLY', 'this API listens on loopback, and the request names another host', {
    hint: 'use localhost or 127.0.0.1, or listen on an address of that name with --api',
  })
}

/** Paths for monitoring and tools. The description of the API leaves them out. */
function registerProbes(server: FastifyInstance, view: NodeView, metrics: AdminServerOptions['metrics']): void {
  const schema = { hide: true }
  // The process lives, whatever its peers do: a liveness probe that fails with the cluster would restart all of it.
  server.get('/healthz', { schema }, (_request, reply) => reply.type('text/plain').send(OK))
  server.get('/readyz', { schema }, (_request, reply) => {
    const { readiness } = view
    if (readiness.ready) return reply.type('text/plain').send(OK)
    return reply.code(ERRORS.UNHEALTHY.http).send(errorResponse('UNHEALTHY', readiness.reason))
  })
  server.get('/metrics', { schema }, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.expose())
  })
  server.get('/openapi.json', { schema }, (_request, reply) => reply.send(server.swagger()))
}

/**
 * Listens on HOST:PORT; port 0 takes a free one. Resolves to the address that it listens on. Throws CONFLICT when the
 * port is in use, naming it.
 */
export async function listenAdmin(server: FastifyInstance, api: string): Promise<string> {
  const { host, port } = parseAddress(api)
  try {
    await server.listen({ host, port })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EADDRINUSE') {
      throw new AshlarError('CONFLICT', `--api: ${api} is in use by another process`, {
        hint: 'stop that process, or give another --api',
        cause: error,
      })
    }
    const message = error instanceof Error ? error.message : String(error)
    throw new AshlarError('USAGE', `--api: cannot listen on ${api}: ${message}`, { cause: error })
  }
  // A connection that cannot be accepted, for want of file descriptors for example, must not end the node.
  server.server.on('error', ({ message: reason }) => server.log.warn({ reason }, 'listener-fault'))
  const address = server.server.address()
  return typeof address === 'object' && address !== null ? formatAddress({ host, port: address.port }) : api
}
