import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { withAndWithoutScrub } from './scrubbing.ts'
import type { Subject } from './subject.ts'

const SUBJECT: Subject = {
  name: 'ashlar',
  fio: new Map(),
  fioEnvironment: {},
  processes: [],
  stop: async () => undefined,
}

/** A node's API that only has a scrub, which begins at the look after it was asked to. */
async function scrubbedNode(t: { after(end: () => void): void }, answers: (action: string) => readonly string[]) {
  const asked: string[] = []
  let states: string[] = ['waiting']
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      if (request.method === 'POST') {
        const { do: action } = JSON.parse(body) as { do: string }
        asked.push(action)
        states = [...answers(action)]
      }
      const state = states.length > 1 ? states.shift() : states[0]
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ state }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { asked, api: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('a pair is one cluster, paused before one run and seen scrubbing on every node before the other', async (t) => {
  const nodes = await Promise.all(
    [1, 2].map(() => scrubbedNode(t, (action) => (action === 'pause' ? ['paused'] : ['waiting', 'running']))),
  )
  const apis = nodes.map(({ api }) => api)
  const [without, beside] = withAndWithoutScrub(SUBJECT, apis)
  await without.prepare?.()
  assert.deepEqual(
    nodes.map(({ asked }) => asked),
    [['pause'], ['pause']],
  )
  await beside.prepare?.()
  assert.deepEqual(
    nodes.map(({ asked }) => asked),
    [
      ['pause', 'start'],
      ['pause', 'start'],
    ],
  )
  assert.deepEqual([without.name, beside.name, beside.sharesDevice], ['ashlar', 'ashlar-scrubbing', true])
})

test('a node whose scrub is off is an error and no figure', async (t) => {
  const { api } = await scrubbedNode(t, () => ['off'])
  const [, beside] = withAndWithoutScrub(SUBJECT, [api])
  await assert.rejects(beside.prepare?.() ?? Promise.resolve(), /is off and not running/)
})
