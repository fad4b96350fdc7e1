import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { loadOptions } from '@ashlar/node/config'
import { createRegister } from '@ashlar/node/internal'
import { FakeCluster } from '../../client/test/kit/fake-cluster.ts'
import { ApiClient } from '../src/api-client.ts'
import { serveGatewayApi } from '../src/gateway/api.ts'
import { inheritedSockets } from '../src/gateway/inherited.ts'
import { gatewayMetrics } from '../src/gateway/metrics.ts'
import { GATEWAY_OPTIONS, tcpListeners } from '../src/gateway/options.ts'
import { runGateway } from '../src/gateway/run.ts'

describe('options of a gateway', () => {
  const load = (flags: Record<string, string | readonly string[]>) =>
    loadOptions(GATEWAY_OPTIONS, { flags, environment: {} }).values

  it('have the defaults that are promised', () => {
    const options = load({})
    assert.deepEqual(options.listen, ['127.0.0.1:10809'])
    assert.equal(options.exports, undefined)
    assert.equal(options.ioTimeoutMs, 60_000)
    assert.equal(options.readOnly, false)
  })

  it('take TCP addresses and unix sockets to listen on', () => {
    const { listen } = load({ listen: ['127.0.0.1:1', 'unix:/run/a.sock'] })
    assert.deepEqual(listen, ['127.0.0.1:1', 'unix:/run/a.sock'])
    assert.deepEqual(tcpListeners(listen), ['127.0.0.1:1'])
    assert.throws(() => load({ listen: 'unix:' }), /--listen: "unix:" has no path/)
  })

  it('take volumes with commas', () => {
    assert.deepEqual(load({ export: 'a,b' }).exports, ['a', 'b'])
    assert.throws(() => load({ export: 'A' }), /--export: "A" is not a name/)
  })
})

describe('socket activation', () => {
  it('passes sockets from descriptor 3 on, to the process that they are meant for', () => {
    assert.deepEqual(inheritedSockets({ LISTEN_FDS: '2', LISTEN_PID: '17' }, 17), [3, 4])
    assert.deepEqual(inheritedSockets({ LISTEN_FDS: '2', LISTEN_PID: '18' }, 17), [])
    assert.deepEqual(inheritedSockets({ LISTEN_FDS: '2' }, 17), [])
    assert.deepEqual(inheritedSockets({}, 17), [])
    for (const count of ['', '-1', 'x', '65', '1000']) {
      const environment = { LISTEN_FDS: count, LISTEN_PID: '17' }
      assert.throws(() => inheritedSockets(environment, 17), { code: 'USAGE', message: `LISTEN_FDS is "${count}"` })
    }
  })
})

describe('a gateway that cannot listen', () => {
  it('says so and leaves no connection open that would keep its process alive', async (t) => {
    await using cluster = await FakeCluster.start()
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const { port } = taken.address() as { port: number }
    const flags = { listen: `127.0.0.1:${port}`, peers: cluster.servers, 'log-level': 'silent' }
    const options = loadOptions(GATEWAY_OPTIONS, { flags, environment: {} }).values
    const stop = { asked: new Promise<string>(() => undefined), release: () => undefined }
    await assert.rejects(runGateway(options, new ApiClient([]), stop), { code: 'CONFLICT' })
    const deadline = performance.now() + 5000
    const open = () => cluster.nodes.reduce((sum, node) => sum + node.connections, 0)
    while (open() > 0 && performance.now() < deadline) await delay(10)
    assert.equal(open(), 0)
  })
})

describe('metrics of a gateway', () => {
  it('follow the events of the NBD server', async () => {
    const register = createRegister()
    const { observer, insecureListener } = gatewayMetrics(register)
    observer.connectionOpened()
    observer.connectionClosed('client-left')
    observer.connectionRefused('connections')
    observer.inputPaused('inFlightBytes')
    observer.requestFinished({ exportName: 'demo', command: 'write', bytes: 4096, seconds: 0.02, errno: 0 })
    insecureListener('0.0.0.0:10809')
    const text = await register.expose()
    for (const line of [
      'ashlar_gateway_connections_opened_total 1',
      'ashlar_gateway_connections_closed_total{reason="client-left"} 1',
      'ashlar_gateway_connections_refused_total{limit="connections"} 1',
      'ashlar_gateway_input_pauses_total{limit="inFlightBytes"} 1',
      'ashlar_gateway_requests_total{export="demo",command="write",errno="0"} 1',
      'ashlar_gateway_request_bytes_total{export="demo",command="write"} 4096',
      'ashlar_gateway_request_seconds_count{export="demo",command="write"} 1',
      'ashlar_gateway_insecure_listener{address="0.0.0.0:10809"} 1',
    ]) {
      assert.ok(text.split('\n').includes(line), line)
    }
  })

  it('are served beside a probe', async (t) => {
    const register = createRegister()
    gatewayMetrics(register).observer.connectionOpened()
    const faults: object[] = []
    const logger = { warn: (details: object) => void faults.push(details) }
    const server = await serveGatewayApi('127.0.0.1:0', register, logger)
    t.after(() => {
      server.close()
      server.closeAllConnections()
    })
    const { port } = server.address() as { port: number }
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
    assert.equal(await (await get('/healthz')).text(), 'ok\n')
    assert.match(await (await get('/metrics')).text(), /ashlar_gateway_connections_opened_total 1/)
    assert.equal((await get('/other')).status, 404)
    for (let fault = 1; fault <= 2; fault++) server.emit('error', new Error('accept EMFILE'))
    assert.deepEqual(faults, [{ reason: 'accept EMFILE' }, { reason: 'accept EMFILE' }])
    assert.equal((await get('/healthz')).status, 200)
    await assert.rejects(serveGatewayApi(`127.0.0.1:${port}`, register, logger), { code: 'CONFLICT' })
  })
})
