import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Io } from '../src/io.ts'
import { main } from '../src/main.ts'

/** Streams of a command that are kept as text. */
export function textIo(environment: Record<string, string> = {}): { io: Io; out: () => string; error: () => string } {
  let out = ''
  let error = ''
  return {
    io: {
      out: (text) => {
        out += text
      },
      error: (text) => {
        error += text
      },
      environment,
      isTerminal: false,
    },
    out: () => out,
    error: () => error,
  }
}

/** Runs a command line in this process. */
export async function ashlar(args: readonly string[], environment: Record<string, string> = {}) {
  const { io, out, error } = textIo(environment)
  const code = await main(args, io)
  return { code, out: out(), error: error() }
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

type Answer = { readonly status?: number; readonly body?: unknown }

/** An API that gives one answer a path (`GET /v1/cluster`), and keeps what it was asked. */
export async function fakeApi(t: TestContext, answers: Readonly<Record<string, Answer | (() => Answer)>>) {
  const requests: SeenRequest[] = []
  const server = createServer((request, response) => {
    answerOne(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  async function answerOne(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const { method = '', url: path = '' } = request
    requests.push({ method, path, body: text === '' ? undefined : JSON.parse(text) })
    const known = answers[`${method} ${path}`]
    const { status = 200, body } = (typeof known === 'function' ? known() : known) ?? {
      status: 404,
      body: { error: { code: 'NOT_FOUND', message: `no ${path}`, hint: '' } },
    }
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(body === undefined ? '' : JSON.stringify(body))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}
