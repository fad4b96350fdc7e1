import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { describe, it } from 'node:test'
import {
  formatAddress,
  formatListenAddress,
  isDialable,
  isLocal,
  isLoopback,
  isWildcard,
  nbdUri,
  parseAddress,
  parseListenAddress,
  readAddress,
} from '@ashlar/proto'
import fc from 'fast-check'

const RUNS = { numRuns: 2000 }
const hexGroup = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16))
const ipv4 = fc.tuple(...new Array(4).fill(fc.integer({ min: 0, max: 299 }))).map((parts) => parts.join('.'))
/** Texts that are IPv6 addresses, or nearly. */
const nearlyIpv6 = fc
  .array(fc.oneof(hexGroup, fc.constantFrom('', '12345', 'g', '::', '1.2.3.4'), ipv4), { maxLength: 9 })
  .map((groups) => groups.join(':'))

describe('addresses', () => {
  it('are a host and a port, with brackets around IPv6', () => {
    assert.deepEqual(parseAddress('127.0.0.1:7580'), { host: '127.0.0.1', port: 7580 })
    assert.deepEqual(parseAddress('n1.example:1'), { host: 'n1.example', port: 1 })
    assert.deepEqual(parseAddress('ashlar_n1_1:0'), { host: 'ashlar_n1_1', port: 0 })
    assert.deepEqual(parseAddress('a.b.svc.cluster.local.:7580'), { host: 'a.b.svc.cluster.local.', port: 7580 })
    assert.deepEqual(parseAddress('[::1]:7480'), { host: '::1', port: 7480 })
    assert.equal(formatAddress(parseAddress('[::1]:7480')), '[::1]:7480')
    assert.equal(formatAddress(parseAddress('n1:7480')), 'n1:7480')
  })

  it('are refused when anything is missing or too much', () => {
    const wrong = ['', 'n1', ':1', 'n1:', 'n1:65536', '::1:7480', '[n1]:1', 'http://n1:1', 'n1:1/x', 'n 1:1', '[]:1']
    const tricky = ['a@b:1', 'a?b:1', 'a#b:1', '256.0.0.1:1', '1.2.3:1', '0x7f:1', '127.1:1', '-a:1', '[1.2.3.4]:1']
    for (const text of [...wrong, ...tricky]) {
      assert.throws(() => parseAddress(text), { code: 'USAGE', message: `"${text}" is not an address` }, text)
      assert.equal(isDialable(text), false, text)
    }
  })

  it('can be dialed when they have a port, and then make a URL', () => {
    assert.equal(isDialable('n1:0'), false)
    fc.assert(
      fc.property(fc.oneof(fc.stringMatching(/^[a-z0-9.:_[\]x-]{1,12}$/), fc.webAuthority()), (host) => {
        for (const text of [`${host}:7580`, host]) if (isDialable(text)) assert.ok(URL.canParse(`ws://${text}`), text)
      }),
      RUNS,
    )
  })

  it('know IPv6 as Node does', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyIpv6, fc.ipV6()), (text) => {
        // A zone means something on one machine only.
        fc.pre(!text.includes('%'))
        assert.equal(readAddress(`[${text}]:1`) !== undefined, isIPv6(text), text)
      }),
      RUNS,
    )
  })

  it('are loopback only when no other machine can mean them', () => {
    for (const host of ['localhost', '127.0.0.1', '127.255.0.9', '::1']) assert.ok(isLoopback(host), host)
    for (const host of ['10.0.0.1', '0.0.0.0', '::', '127.999.0.1', '127.evil.example', 'n1', '']) {
      assert.equal(isLoopback(host), false, host)
    }
    assert.deepEqual(['0.0.0.0', '::', '127.0.0.1'].map(isWildcard), [true, true, false])
  })
})

describe('listeners', () => {
  it('are TCP addresses or unix sockets, and are written as they were read', () => {
    for (const text of ['127.0.0.1:10809', '[::1]:0', 'unix:/run/a b.sock', 'unix:a.sock']) {
      assert.equal(formatListenAddress(parseListenAddress(text)), text)
    }
    assert.throws(() => parseListenAddress('unix:'), { code: 'USAGE', message: /"unix:" has no path/ })
    assert.throws(() => parseListenAddress('localhost'), { code: 'USAGE', message: /"localhost" is not an address to/ })
  })

  it('are local on loopback and as unix sockets', () => {
    const local = (text: string) => isLocal(parseListenAddress(text))
    assert.deepEqual(['unix:/a', '[::1]:1', 'localhost:1', '10.0.0.1:1', '127.evil.example:1'].map(local), [
      ...[true, true, true],
      ...[false, false],
    ])
  })

  it('have the URI that NBD clients know', () => {
    const uri = (text: string, name?: string) => nbdUri(parseListenAddress(text), name)
    assert.equal(uri('127.0.0.1:10809', 'demo'), 'nbd://127.0.0.1:10809/demo')
    assert.equal(uri('[::1]:10809'), 'nbd://[::1]:10809')
    assert.equal(uri('unix:/run/a b.sock', 'demo'), 'nbd+unix:///demo?socket=/run/a%20b.sock')
    assert.equal(uri('unix:/run/a.sock'), 'nbd+unix:///?socket=/run/a.sock')
  })
})
