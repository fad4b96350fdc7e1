import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { eventually, withServer } from '../support/test-server.ts'
import { CMD } from '../support/wire.ts'

const CONNECTIONS = 10_000
/** So many are on their way at once, so that the backlog of the listener does not decide. */
const WAVE = 200

const handles = (): number => readdirSync('/proc/self/fd').length

test('nbd 110, 116: ten thousand clients that connect and hold take the places there are, and nothing after them', () =>
  withServer({}, async ({ server, attach, observed }) => {
    const client = await attach()
    const before = handles()
    const holding = new Set<Socket>()
    let refused = 0
    for (let begun = 0; begun < CONNECTIONS; begun += WAVE) {
      const wave = Array.from({ length: WAVE }, () => {
        const socket = connect((server.addresses[0] as { port: number }).port, '127.0.0.1')
        holding.add(socket)
        const settled = new Promise<void>((resolve) => {
          socket.once('data', () => resolve())
          socket.once('close', () => {
            holding.delete(socket)
            refused++
            resolve()
          })
        })
        socket.on('error', () => undefined)
        return settled
      })
      for (const settled of wave) await settled
    }
    assert.equal(holding.size, 100, 'as many as may be without an export')
    assert.equal(refused, CONNECTIONS - 100)
    assert.equal(observed.refused.length, refused)
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(4096, 1) }), 0)
    for (const socket of holding) socket.destroy()
    await eventually('only the client is left', () => server.connections === 1)
    await eventually('every handle is given back', () => handles() <= before)
  }))
