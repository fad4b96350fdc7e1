import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { createAdminServer, type FetchPeer } from '../../src/admin/index.ts'
import { createNodeMetrics } from '../../src/observe/metrics/index.ts'
import { createRegister } from '../../src/observe/register.ts'
import type { ScrubCommand, ScrubStatus } from '../../src/storage/scrub/index.ts'
import { demo, quietPeers, serve } from './served.ts'

const PASS = {
  startedAtMs: 1_764_000_000_000,
  endedAtMs: null,
  blocks: 40,
  bytes: 163_840,
  damagedBlocks: 2,
  lostLeaves: 0,
}
const STATUS: ScrubStatus = {
  ...{ state: 'running', bytesPerSecond: 2_097_152, position: 0.25, current: PASS, last: null },
  totals: { blocks: 40, bytes: 163_840, damagedBlocks: 2, lostLeaves: 1, passes: 3 },
}

/** What a node answers. */
const ANSWER = {
  ...{ state: 'running', bytesPerSecond: 2_097_152, position: 0.25, last: null, reasonToLeave: 'it rots' },
  current: { ...PASS, startedAt: '2025-11-24T16:00:00.000Z', endedAt: null },
}

test('the API reports the progress of the scrub, and passes commands on to it', async (t) => {
  const commands: ScrubCommand[] = []
  const server = await createAdminServer({
    view: demo(),
    log: pino({ level: 'silent' }),
    metrics: { contentType: 'text/plain', expose: async () => '' },
    scrub: { status: STATUS, reasonToLeave: 'it rots', command: (command) => commands.push(command) },
  })
  t.after(() => server.close())
  const { startedAtMs: _, endedAtMs: __, ...pass } = PASS
  const expected = { ...ANSWER, current: { ...pass, startedAt: '2025-11-24T16:00:00.000Z', endedAt: null } }
  assert.deepEqual((await server.inject('/v1/local/scrub')).json(), expected)
  const paused = await server.inject({ method: 'POST', url: '/v1/local/scrub', body: { do: 'pause' } })
  assert.deepEqual([paused.statusCode, commands], [200, ['pause']])
  const refused = await server.inject({ method: 'POST', url: '/v1/local/scrub', body: { do: 'faster' } })
  assert.equal(refused.statusCode, 400)
})

test('explain of a node says what its scrub found, and that it is to leave', async (t) => {
  const peers: FetchPeer = async (api, path) => (path === '/v1/local/scrub' ? ANSWER : await quietPeers(api, path))
  const { body } = await (await serve(t, demo(), peers))('/v1/explain/node/n2')
  assert.ok(
    body.because.some((line: string) =>
      /scrub is running, 25 % of a pass done, 40 blocks read, 2 of them damaged/.test(line),
    ),
  )
  assert.ok(body.problems.some((line: string) => /its store is suspect: it rots/.test(line)))
})

test('every metric of the scrub follows what it counts', async () => {
  const register = createRegister()
  const metrics = createNodeMetrics(register, { name: 'n1', version: '1' })
  const source = { status: STATUS }
  metrics.scrub.watch(source)
  const value = async (name: string) =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await register.expose())?.[1] ?? Number.NaN)
  const names = ['blocks', 'bytes', 'damaged_blocks', 'lost_leaves', 'passes'].map(
    (name) => `ashlar_scrub_${name}_total`,
  )
  const before = await Promise.all(names.map(value))
  assert.deepEqual(before, [40, 163_840, 2, 1, 3])
  assert.deepEqual([await value('ashlar_scrub_running'), await value('ashlar_scrub_position_ratio')], [1, 0.25])
  source.status = {
    ...STATUS,
    state: 'waiting',
    current: null,
    position: 0,
    last: { ...PASS, endedAtMs: 1_764_000_001_000 },
  }
  assert.deepEqual(
    [await value('ashlar_scrub_running'), await value('ashlar_scrub_last_pass_timestamp_seconds')],
    [0, 1_764_000_001],
  )
  metrics.process.close()
})
