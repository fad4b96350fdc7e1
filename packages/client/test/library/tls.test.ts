import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TlsOptions } from 'node:tls'
import { type AshlarError, type ConnectOptions, connect } from '@ashlar/client'
import { Authority } from '../kit/certificate.ts'
import { FakeCluster } from '../kit/fake-cluster.ts'

const authority = new Authority('authority')
const stranger = new Authority('stranger')
const forLoopback = authority.issue('loopback')
const forName = authority.issue({ dns: 'n1.example' })

/** Connects to one node that speaks TLS, and gives why that failed, or undefined. */
async function refusal(node: TlsOptions | undefined, tls: ConnectOptions['tls']): Promise<string | undefined> {
  await using cluster = await FakeCluster.start(1, node)
  try {
    await using client = await connect({ servers: cluster.servers, ...(tls === undefined ? {} : { tls }) })
    assert.deepEqual(await client.admin.list(), [])
    return undefined
  } catch (error) {
    assert.equal((error as AshlarError).code, 'NO_CONTROL')
    return (error as AshlarError).message
  }
}

describe('TLS of connect', () => {
  test('carries calls to a node whose certificate the authority signed', async () => {
    await using cluster = await FakeCluster.start(1, forLoopback)
    cluster.create('vol', 65_536)
    await using client = await connect({ servers: cluster.servers, tls: { ca: authority.cert } })
    await using volume = await client.openVolume('vol')
    const bytes = new Uint8Array(20_000).fill(7)
    await volume.write(3000, bytes)
    assert.deepEqual(Buffer.from(await volume.read(3000, 20_000)), Buffer.from(bytes))
  })

  test('takes certificates as bytes too', async () => {
    assert.equal(await refusal(forLoopback, { ca: new TextEncoder().encode(authority.cert) }), undefined)
  })

  test('refuses a node of another authority, and of one that Node does not trust', async () => {
    assert.match((await refusal(forLoopback, { ca: stranger.cert })) ?? '', /unable to verify the first certificate/)
    assert.match((await refusal(forLoopback, {})) ?? '', /unable to verify the first certificate/)
  })

  test('refuses a certificate of another name than the one it dialed, or expects', async () => {
    assert.match((await refusal(forName, { ca: authority.cert })) ?? '', /does not match certificate's altnames/)
    assert.equal(await refusal(forName, { ca: authority.cert, servername: 'n1.example' }), undefined)
    const other = { ca: authority.cert, servername: 'n2.example' }
    assert.match((await refusal(forName, other)) ?? '', /does not match certificate's altnames/)
  })

  test('sends its own certificate when the server requests one', async () => {
    const node = { ...forLoopback, ca: authority.cert, requestCert: true, rejectUnauthorized: true }
    const { cert, key } = authority.issue({ dns: 'client.example' })
    assert.equal(await refusal(node, { ca: authority.cert, cert, key }), undefined)
    assert.match((await refusal(node, { ca: authority.cert })) ?? '', /certificate required|ECONNRESET|hang up/)
    const foreign = stranger.issue({ dns: 'client.example' })
    assert.match((await refusal(node, { ca: authority.cert, ...foreign })) ?? '', /unknown ca|ECONNRESET|hang up/)
  })

  test('does not talk plain text to a node that wants TLS, nor TLS to one that does not', async () => {
    assert.notEqual(await refusal(forLoopback, undefined), undefined)
    assert.notEqual(await refusal(undefined, { ca: authority.cert }), undefined)
  })

  test('says which part of it cannot be used, before anything is dialed', async () => {
    const bad: readonly [unknown, RegExp][] = [
      [5, /tls must be an object, not 5/],
      [null, /tls must be an object/],
      [[authority.cert], /tls must be an object, not a list/],
      [{ cert: forName.cert }, /tls\.cert is given without the other half/],
      [{ key: forName.key }, /tls\.key is given without the other half/],
      [{ ca: 'nonsense' }, /tls cannot be used: .*PEM/],
      [{ ca: authority.cert, cert: forName.cert, key: forLoopback.key }, /tls cannot be used: .*key values mismatch/],
      [{ ca: 5 }, /tls cannot be used: .*Received type number \(5\)/],
      [{ servername: 5 }, /tls\.servername must be text, not 5/],
    ]
    for (const [tls, message] of bad) {
      await assert.rejects(connect({ servers: ['127.0.0.1:1'], tls } as never), { code: 'USAGE', message })
    }
  })
})
