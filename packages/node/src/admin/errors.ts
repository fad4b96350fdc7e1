import { AshlarError, ERRORS, type ErrorCode } from '@ashlar/proto'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import type { ApiError } from './schemas.ts'

/** The body of an error response. */
export function errorResponse(code: ErrorCode, message: string, hint = ''): ApiError {
  return { error: { code, message, hint } }
}

/** Turns what a handler threw into a response. An unexpected error is logged with its stack; the response leaves it out. */
export function sendError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof AshlarError) {
    return reply.code(ERRORS[error.code].http).send(errorResponse(error.code, error.message, error.hint))
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map(
      ({ instancePath, message }) => `${fieldOf(instancePath)}${message ?? 'is wrong'}`,
    )
    return reply.code(ERRORS.USAGE.http).send(errorResponse('USAGE', problems.join('; '), 'see /openapi.json'))
  }
  const status = error.statusCode ?? 500
  if (status < 500) return reply.code(status).send(errorResponse('USAGE', error.message, 'see /openapi.json'))
  request.log.error({ err: error }, 'request-failed')
  return reply
    .code(500)
    .send(errorResponse('INTERNAL', 'the node failed to handle the request', 'read the reason in its log'))
}

export function sendNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const message = `there is no ${request.method} ${request.url.split('?')[0]}`
  return reply.code(404).send(errorResponse('NOT_FOUND', message, 'see /openapi.json'))
}

function fieldOf(path: string): string {
  const field = path.replace(/^\//, '').replaceAll('/', '.')
  return field === '' ? '' : `${field}: `
}
