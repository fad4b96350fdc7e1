import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { hostname } from 'node:os'
import { after, before, test } from 'node:test'
import { DevCluster, eventually, run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'
import { GatewayProcess, nbdsh } from './gateway-process.ts'

/** Gateways in front of one volume: who holds it, who is refused, who takes it, and what the one that lost it says. */

const VOLUME = 'demo'

let cluster: DevCluster
const gateways = new Set<GatewayProcess>()
const writers = new Set<ChildProcess>()
before(async () => {
  cluster = await DevCluster.start()
  // Holders are heard of, and attaches have policies, once every node has reported what it supports.
  await eventually('the feature level is reached', async () => ((await info()).featureLevel >= 1 ? true : undefined))
})
after(async () => {
  for (const writer of writers) writer.kill('SIGKILL')
  for (const gateway of gateways) await gateway.stop('SIGKILL')
  await cluster?.stop()
})

async function json<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await cluster.cli([...args, '-o', 'json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as T
}

function info(): Promise<{ featureLevel: number; holders: { volume: string; client: string }[] }> {
  return json('cluster', 'info')
}

interface Holder {
  readonly client: string
  readonly volume: string
  readonly mode: string
  readonly owner: string
  readonly since: string
  readonly lastHeardMs: number
  readonly through: string | null
}

async function gateway(...args: readonly string[]): Promise<GatewayProcess> {
  const peers = cluster.info.nodes.map(({ peer }) => peer).join(',')
  const started = await GatewayProcess.start('--peers', peers, '--export', VOLUME, ...args)
  gateways.add(started)
  return started
}

/** A client that writes without a pause until it is told to stop, or until a write fails. */
class Writer {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #writes = 0

  constructor(uri: string) {
    const script = `
import select, sys
h.connect_uri("${uri}")
number = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    h.pwrite(number.to_bytes(8, "big") * 512, 0)
    if number % 10 == 1: print("wrote", number, flush=True)
`
    const env = { ...process.env, PATH: `/usr/bin:${process.env['PATH'] ?? ''}` }
    this.#child = spawn('nbdsh', ['-c', script], { env, stdio: ['pipe', 'pipe', 'ignore'] })
    this.#child.stdout?.on('data', (text) => {
      this.#writes = Number(String(text).trim().split(/\s+/).at(-1))
    })
    this.#ended = new Promise((resolve) => this.#child.once('exit', (code) => resolve(code)))
    writers.add(this.#child)
  }

  /** Resolves once it has written more since. */
  async goesOn(): Promise<void> {
    const before = this.#writes
    const outcome = await eventually('the writer goes on', async () => {
      if (this.#child.exitCode !== null) return 'a write of it failed'
      return this.#writes > before ? 'it goes on' : undefined
    })
    assert.equal(outcome, 'it goes on')
  }

  async stop(): Promise<number | null> {
    this.#child.stdin?.end('\n')
    return await this.#ended
  }

  ended(): Promise<number | null> {
    return this.#ended
  }
}

test('a look through a second gateway takes nothing from a running writer; --take-over does, and the first one names it', async (t) => {
  if (!requireTool(t, 'nbdsh', 'nbdinfo')) return
  const first = await gateway('--name', 'first')
  const writer = new Writer(first.export(VOLUME))
  await writer.goesOn()
  const holder = `gateway first on ${hostname()} pid ${first.pid}`

  const second = await gateway('--name', 'second')
  for (let times = 0; times < 2; times++) {
    const look = await run('nbdinfo', ['--size', second.export(VOLUME)])
    assert.notEqual(look.code, 0)
    assert.match(look.stderr, /server policy/)
    await writer.goesOn()
  }
  const refusals = second.output.split(`"message":"volume ${VOLUME} is attached by ${holder} (exclusive, since `)
  assert.equal(refusals.length, 3, second.output)
  assert.match(refusals[1] ?? '', /--take-over/)
  assert.equal(await second.stop(), 0)

  const [listed, ...others] = await json<Holder[]>('gateway', 'ls')
  assert.deepEqual(others, [])
  assert.ok(listed !== undefined)
  assert.deepEqual(
    [listed.client, listed.volume, listed.mode, listed.owner],
    [holder, VOLUME, 'exclusive', 'gateway first'],
  )
  assert.ok(Math.abs(Date.parse(listed.since) - Date.now()) < 60_000, listed.since)
  const heard = await eventually('control heard of it over a node', async () => {
    const [now] = await json<Holder[]>('gateway', 'ls')
    return now?.through == null ? undefined : now
  })
  assert.ok(cluster.info.nodes.some(({ id }) => id === heard.through))
  assert.ok(heard.lastHeardMs < 30_000)
  assert.deepEqual(
    (await info()).holders.map(({ volume, client }) => [volume, client]),
    [[VOLUME, holder]],
  )
  for (const args of [
    ['explain', 'volume', VOLUME],
    ['volume', 'describe', VOLUME],
    ['cluster', 'info'],
  ]) {
    const { stdout } = await cluster.cli(args)
    assert.ok(stdout.includes(`${holder} (exclusive) since ${listed.since}, last heard of `), stdout)
  }

  const third = await gateway('--name', 'third', '--take-over')
  const taken = Date.now()
  await nbdsh(`h.connect_uri("${third.export(VOLUME)}")\nh.pwrite(b"third" * 100, 4096)\nh.shutdown()`)
  assert.equal(await first.ended, 4)
  assert.notEqual(await writer.ended(), 0, 'the writer of the first gateway gets an error')
  const told = /gateway third on (\S+) pid (\d+) took volume 'demo' at (\S+Z): this session is over/.exec(first.output)
  assert.ok(told !== null, first.output)
  assert.deepEqual([told[1], Number(told[2])], [hostname(), third.pid])
  assert.ok(Math.abs(Date.parse(told[3] ?? '') - taken) < 60_000, told[3])
  assert.equal(await third.stop(), 0)
})

test('a gateway that was killed gets its own volume back at once, and another one does not get it', async (t) => {
  if (!requireTool(t, 'nbdsh')) return
  const killed = await gateway('--name', 'own')
  const writer = new Writer(killed.export(VOLUME))
  await writer.goesOn()
  await killed.stop('SIGKILL')
  await writer.ended()
  const other = await gateway('--name', 'other')
  const look = await run('nbdinfo', ['--size', other.export(VOLUME)])
  assert.notEqual(look.code, 0)
  assert.match(other.output, new RegExp(`attached by gateway own on \\S+ pid ${killed.pid} `))
  const again = await gateway('--name', 'own')
  const begun = performance.now()
  const next = new Writer(again.export(VOLUME))
  await next.goesOn()
  assert.ok(performance.now() - begun < 20_000, 'it did not wait until its last process counted as silent')
  assert.equal(await next.stop(), 0)
  for (const each of [other, again]) assert.equal(await each.stop(), 0)
  assert.deepEqual(await json('gateway', 'ls'), [])
})
