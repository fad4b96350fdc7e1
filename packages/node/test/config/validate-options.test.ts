import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadOptions } from '../../src/config/load.ts'
import { SERVER_OPTIONS, type ServerOptions } from '../../src/config/options.ts'
import { insecureListeners, knownPeers, validateServerOptions } from '../../src/config/validate-options.ts'

function options(flags: Record<string, string | boolean>): ServerOptions {
  return loadOptions(SERVER_OPTIONS, { flags: { 'data-dir': 'd', ...flags }, environment: {} }).values
}

function refusal(flags: Record<string, string | boolean>, empty = true): string {
  try {
    validateServerOptions(options(flags), { empty })
  } catch (error) {
    assert.ok(error instanceof Error)
    return error.message
  }
  return assert.fail('the options were accepted')
}

describe('a listener on the network', () => {
  it('is refused without --insecure, naming the option', () => {
    assert.match(
      refusal({ init: true, listen: '10.0.0.1:7580' }),
      /^--listen: 10\.0\.0\.1:7580 is not a loopback address/,
    )
    assert.match(
      refusal({ init: true, listen: '0.0.0.0:7580', advertise: 'n1.example:7580' }),
      /^--listen: 0\.0\.0\.0:7580 is not a loopback/,
    )
    assert.match(refusal({ init: true, api: '[::]:7480' }), /^--api: \[::\]:7480 is not a loopback address/)
    assert.match(refusal({ init: true, api: 'n1.example:7480' }), /^--api: n1\.example:7480 is not a loopback address/)
  })

  it('is allowed and reported with --insecure', () => {
    const open = validateServerOptions(options({ init: true, insecure: true, listen: '10.0.0.1:7580' }), {
      empty: true,
    })
    assert.deepEqual(open, [{ option: '--listen', address: '10.0.0.1:7580' }])
  })

  it('is none on loopback', () => {
    assert.deepEqual(
      insecureListeners(false, { '--listen': '127.0.0.1:1', '--api': '[::1]:2', '--x': 'localhost:3' }),
      [],
    )
  })
})

describe('options that contradict each other', () => {
  it('do not start: nothing to bootstrap and nothing to join', () => {
    assert.match(refusal({}), /^--peers: is empty and so is the data directory/)
    assert.deepEqual(validateServerOptions(options({}), { empty: false }), [])
  })

  it('do not start: expecting more nodes than there are addresses, or none', () => {
    assert.match(refusal({ peers: '127.0.0.1:1,127.0.0.1:2', expect: '4' }), /^--expect: 4 is more than the 3 nodes/)
    assert.match(refusal({ peers: '127.0.0.1:1', expect: '0' }), /^--expect: must be at least 1/)
    assert.deepEqual(
      validateServerOptions(options({ peers: '127.0.0.1:1,127.0.0.1:2', expect: '3' }), { empty: true }),
      [],
    )
  })

  it('do not start: --init with others', () => {
    assert.match(
      refusal({ init: true, expect: '3', peers: '127.0.0.1:1,127.0.0.1:2' }),
      /^--expect: 3 contradicts --init/,
    )
  })

  it('do not start: reserves in another order than what they refuse', () => {
    const refused = (flags: Record<string, string>) => refusal({ init: true, ...flags })
    const more = /^--write-reserve: is more than --placement-reserve/
    assert.match(refused({ 'write-reserve': '2Gi+5%', 'placement-reserve': '1Gi+5%' }), more)
    assert.match(
      refused({ 'last-reserve': '2%', 'write-reserve': '1%' }),
      /^--last-reserve: is more than --write-reserve/,
    )
    // Which is larger depends on the disk: opening the store finds it.
    const mixed = options({ init: true, 'write-reserve': '5%', 'placement-reserve': '1Gi' })
    assert.deepEqual(validateServerOptions(mixed, { empty: true }), [])
  })

  it('do not start: an address that other nodes cannot dial', () => {
    assert.match(
      refusal({ init: true, insecure: true, listen: '0.0.0.0:7580' }),
      /^--listen: other nodes cannot dial 0\.0\.0\.0/,
    )
    assert.match(refusal({ init: true, advertise: 'n1:0' }), /^--advertise: other nodes cannot dial port 0/)
  })
})

describe('addresses', () => {
  it('of the peers are the same sorted list on every node with the same options', () => {
    const peers = '127.0.0.1:3,127.0.0.1:1,127.0.0.1:2'
    const lists = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'].map((listen) => knownPeers(options({ listen, peers })))
    for (const list of lists) assert.deepEqual(list, ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'])
  })
})
