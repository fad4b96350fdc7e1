import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { createAdminServer, listenAdmin } from '../../src/admin/index.ts'
import { FakeView, mapOf } from './fake-view.ts'

const options = {
  view: new FakeView(mapOf({})),
  log: pino({ level: 'silent' }),
  metrics: { contentType: 'text/plain', expose: async () => '' },
}

describe('listening for the API', () => {
  it('takes a free port for port 0 and answers there', async (t) => {
    const server = await createAdminServer(options)
    t.after(() => server.close())
    const address = await listenAdmin(server, '127.0.0.1:0')
    assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/)
    assert.equal((await fetch(`http://${address}/healthz`)).status, 200)
  })

  it('names the address that is in use', async (t) => {
    const [first, second] = [await createAdminServer(options), await createAdminServer(options)]
    t.after(() => Promise.all([first.close(), second.close()]))
    const address = await listenAdmin(first, '127.0.0.1:0')
    await assert.rejects(listenAdmin(second, address), {
      code: 'CONFLICT',
      message: new RegExp(`${address} is in use`),
    })
  })

  it('refuses the name of a web page that was made to resolve to loopback', async (t) => {
    const server = await createAdminServer(options)
    t.after(() => server.close())
    const [, port] = (await listenAdmin(server, '127.0.0.1:0')).split(':')
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path: '/healthz', headers: { host } }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        asked.on('error', reject)
        asked.end()
      })
    assert.equal(await statusFor(`evil.example:${port}`), 403)
    assert.equal(await statusFor('127.evil.example'), 403)
    for (const own of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
      assert.equal(await statusFor(own), 200)
  })

  it('goes on when a connection cannot be accepted', async (t) => {
    const server = await createAdminServer(options)
    t.after(() => server.close())
    const address = await listenAdmin(server, '127.0.0.1:0')
    server.server.emit('error', new Error('accept EMFILE'))
    assert.equal((await fetch(`http://${address}/healthz`)).status, 200)
  })
})
