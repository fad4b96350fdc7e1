import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SessionId } from '@ashlar/proto'
import { MachineScript, STORE_A } from '../kit/machine-script.ts'

const SOMEBODY = 77 as SessionId

const TAKEN = "someone took volume 'demo' at 2026-11-30T15:04:05Z: this session is over"

describe('a fenced session', () => {
  test('fails every pending and every later call once the map names the new holder, and says so', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    const pending = [script.write(volume, 0, 4096), script.read(volume, 0, 4096), script.call({ do: 'flush', volume })]
    const waiting = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'FENCED')
    script.attachAs(SOMEBODY, 'exclusive', Date.UTC(2026, 10, 30, 15, 4, 5))
    script.sendMap(a)
    for (const token of [...pending, waiting])
      assert.equal(script.assertFailed(token, 'FENCED')['holder'], 'someone', 'the error names the holder')
    const sent = script.sent.length
    script.assertFailed(script.read(volume, 0, 4096), 'FENCED')
    script.assertFailed(script.call({ do: 'flush', volume }), 'FENCED')
    script.assertFailed(script.write(volume, 0, 4096), 'FENCED')
    assert.equal(script.sent.length, sent)
    assert.deepEqual(
      script.events.filter((event) => event.what === 'fenced'),
      [{ what: 'fenced', volume: 'demo', handle: volume, reason: TAKEN, holder: 'someone' }],
    )
  })

  test('fails its calls after a second although no node names the new holder', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'FENCED')
    script.pass(900)
    assert.equal(script.isSettled(token), false)
    script.pass(100)
    assert.equal(script.assertFailed(token, 'FENCED')['holder'], undefined)
  })

  test('is told apart: taken and left again, taken more than once, ended by an operator', () => {
    const reason = (change: (script: MachineScript) => void): string => {
      const script = new MachineScript()
      script.featureLevel = 1
      const { a } = script.connect()
      script.open()
      change(script)
      script.sendMap(a)
      const [event] = script.events.filter(({ what }) => what === 'fenced')
      return event?.what === 'fenced' ? event.reason : ''
    }
    assert.equal(
      reason((script) => {
        script.attachAs(SOMEBODY)
        script.setHolders([])
      }),
      "another client took volume 'demo' and has detached since: this session is over",
    )
    assert.equal(
      reason((script) => {
        script.attachAs(99 as SessionId)
        script.attachAs(SOMEBODY)
      }),
      "volume 'demo' was taken over, and someone (exclusive) holds it: this session is over",
    )
    assert.equal(
      reason((script) => script.setHolders([])),
      "an operator or control ended the attachment of volume 'demo': this session is over",
    )
  })

  test('says of a write that was sent that it may take effect, of one that was not that it will not', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const sent = script.write(volume, 0, 4096)
    const held = script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'FENCED')
    script.pass(1000)
    assert.equal(script.assertFailed(sent, 'FENCED')['indeterminate'], true)
    assert.equal(script.assertFailed(held, 'FENCED')['indeterminate'], undefined)
  })

  test('is learned from the map before a primary reports it', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.attachAs(SOMEBODY)
    script.sendMap(a)
    script.assertFailed(token, 'FENCED')
  })

  test('is closed without a detach', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'FENCED')
    script.pass(1000)
    const sent = script.sent.length
    script.assertOk(script.call({ do: 'close', volume }))
    assert.equal(script.sent.length, sent)
  })

  test('leaves another volume of the same client alone', () => {
    const script = new MachineScript()
    script.connect()
    const reader = script.open('read-only')
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.answer(script.last('write'), 'FENCED')
    const token = script.read(reader, 0, 4096)
    script.answerRead(script.last('read'), 1)
    script.assertOk(token)
  })
})

describe('opening', () => {
  test('read-only takes no attachment, reads with generation 0, and refuses changes', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open('read-only')
    assert.equal(script.all('admin').length, 0)
    script.read(volume, 0, 4096)
    assert.equal(script.last('read').message.generation, 0)
    script.answerRead(script.last('read'), 1)
    script.assertFailed(script.write(volume, 0, 4096), 'READ_ONLY')
    script.assertFailed(script.call({ do: 'discard', volume, offset: 0, length: 4096, kind: 'zero' }), 'READ_ONLY')
    script.assertOk(script.call({ do: 'close', volume }))
  })

  test('read-only of a volume that no linked node knows fails once all of them said so', () => {
    const script = new MachineScript()
    const { a, b } = script.connect()
    const token = script.call({ do: 'open', name: 'nothing', mode: 'read-only', policy: 'take' })
    script.sendMap(a)
    assert.equal(script.isSettled(token), false)
    script.sendMap(b)
    script.assertFailed(token, 'NOT_FOUND')
  })

  test('exclusive waits until the map has the attachment', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
    const { link, message } = script.last('admin')
    const session = message.command.do === 'attach' ? message.command.session : SOMEBODY
    script.attachAs(session)
    script.adminDone(link, message.request, 'OK')
    assert.equal(script.isSettled(token), false)
    script.sendMap(a)
    script.assertOk(token)
  })

  test('is requested from another node when the link is lost, and when there is no control leader', () => {
    const script = new MachineScript()
    script.connect()
    script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
    const first = script.last('admin')
    script.adminDone(first.link, first.message.request, 'NO_CONTROL')
    script.pass(200)
    const second = script.last('admin')
    assert.notEqual(second.link, first.link)
    script.linkDown(second.link)
    assert.equal(script.last('admin').link, first.link)
    assert.equal(script.all('admin').length, 3)
  })

  test('says what control said last when time runs out', () => {
    const script = new MachineScript({ ioTimeoutMs: 1000 })
    script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
    const { link, message } = script.last('admin')
    script.adminDone(link, message.request, 'NO_CONTROL')
    script.pass(1000)
    script.assertFailed(token, 'NO_CONTROL')
  })

  test('fails with the code and the words of control', () => {
    const script = new MachineScript()
    script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'free' })
    const { link, message } = script.last('admin')
    script.adminDone(link, message.request, 'ATTACHED')
    script.assertFailed(token, 'ATTACHED')
  })

  test('that was aborted releases an attachment that was made nevertheless', () => {
    const script = new MachineScript()
    script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
    const { link, message } = script.last('admin')
    script.input({ type: 'abandon', token })
    script.assertFailed(token, 'ABORTED')
    script.adminDone(link, message.request, 'OK')
    assert.equal(script.last('admin').message.command.do, 'detach')
  })

  test('that is aborted while it waits for the map releases its attachment', () => {
    const script = new MachineScript()
    script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
    const { link, message } = script.last('admin')
    script.attachAs(message.command.do === 'attach' ? message.command.session : SOMEBODY)
    script.adminDone(link, message.request, 'OK')
    script.input({ type: 'abandon', token })
    script.assertFailed(token, 'ABORTED')
    assert.equal(script.last('admin').message.command.do, 'detach')
  })

  test('numbers every session differently, and equally for the same seed', () => {
    const sessions = (seed: number): number[] => {
      const script = new MachineScript({ seed })
      script.connect()
      for (let open = 0; open < 3; open++) script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' })
      return script.all('admin').map(({ message: { command } }) => (command.do === 'attach' ? command.session : 0))
    }
    assert.equal(new Set([...sessions(1), ...sessions(2), ...sessions(2 ** 32 + 1)]).size, 9)
    assert.deepEqual(sessions(1), sessions(1))
  })
})

describe('closing', () => {
  test('waits for calls, refuses new ones, and detaches', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const write = script.write(volume, 0, 4096)
    const close = script.call({ do: 'close', volume })
    script.assertFailed(script.read(volume, 0, 4096), 'CLOSED')
    assert.equal(script.last('admin').message.command.do, 'attach')
    script.answer(script.last('write'), 'OK')
    script.assertOk(write)
    const { link, message } = script.last('admin')
    assert.deepEqual(message.command.do, 'detach')
    assert.equal(script.isSettled(close), false)
    script.adminDone(link, message.request, 'OK')
    script.assertOk(close)
    script.assertFailed(script.read(volume, 0, 4096), 'CLOSED')
  })

  test('keeps the attachment while a write of it may still take effect', () => {
    const script = new MachineScript({ ioTimeoutMs: 1000, cancelGraceMs: 500 })
    script.connect()
    const volume = script.open()
    script.write(volume, 0, 4096)
    script.pass(1000)
    script.pass(500)
    script.call({ do: 'close', volume })
    assert.equal(script.last('admin').message.command.do, 'attach')
    script.answer(script.last('cancel'), 'CANCELLED')
    assert.equal(script.last('admin').message.command.do, 'detach')
  })

  test('ends in time, with an event, when the cluster does not respond', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const close = script.call({ do: 'close', volume })
    script.pass(5000)
    script.assertOk(close)
    assert.deepEqual(script.events.at(-1), { what: 'detach-failed', volume: 'demo', code: 'TIMEOUT' })
  })

  test('the client fails what is pending with CLOSED and stops dialing', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    const pending = [
      script.write(volume, 0, 4096),
      script.call({ do: 'list-volumes' }),
      script.call({ do: 'open', name: 'demo', mode: 'exclusive', policy: 'take' }),
    ]
    script.input({ type: 'shut-down' })
    for (const token of pending) script.assertFailed(token, 'CLOSED')
    script.assertFailed(script.read(volume, 0, 1), 'CLOSED')
    assert.deepEqual(script.dialed, [])
  })

  test('a volume that was removed fails its calls with NOT_FOUND', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const volume = script.open()
    const token = script.write(volume, 0, 4096)
    script.removeVolume(a)
    script.assertFailed(token, 'NOT_FOUND')
    script.assertFailed(script.read(volume, 0, 4096), 'NOT_FOUND')
  })
})

describe('the map', () => {
  test('is watched at one node, and at another one when that is lost', () => {
    const script = new MachineScript()
    const { a, b } = script.connect()
    assert.deepEqual(
      script
        .all('get-map')
        .filter(({ message }) => message.watch)
        .map(({ link }) => link),
      [a],
    )
    script.linkDown(a)
    assert.deepEqual([script.last('get-map').link, script.last('get-map').message.watch], [b, true])
  })

  test('of another cluster costs the connection and changes nothing', () => {
    const script = new MachineScript()
    const { b } = script.connect()
    const delta = { clusterGeneration: 0, from: 0, to: 99, voters: [], nodes: [], volumes: [], extents: [] }
    script.receive(b, { type: 'map-update', delta: { ...delta, cluster: 'other' as never, removedVolumes: [] } })
    assert.deepEqual(script.closed, [b])
    assert.equal(script.events.filter((event) => event.what === 'map' && event.revision === 99).length, 0)
  })

  test('with a gap is requested again, from the revision of the client', () => {
    const script = new MachineScript()
    const { a } = script.connect()
    const delta = { clusterGeneration: 0, from: 50, to: 51, voters: [], nodes: [], volumes: [], extents: [] }
    script.receive(a, { type: 'map-update', delta: { ...delta, cluster: 'c' as never, removedVolumes: [] } })
    assert.equal(script.last('get-map').message.have, 1)
  })

  test('names the addresses that are dialed: the servers and the primaries in use', () => {
    const script = new MachineScript({ servers: ['b:1'] })
    const b = script.linkUp('00000000-0000-7000-8000-00000000000b' as typeof STORE_A)
    script.sendMap(b)
    const volume = script.open()
    assert.deepEqual(script.dialed, ['b:1'])
    const token = script.read(volume, 0, 4096)
    assert.deepEqual(script.dialed, ['a:1', 'b:1'])
    script.linkUp(STORE_A)
    script.answerRead(script.last('read'), 1)
    script.assertOk(token)
  })

  test('that no server sends ends the wait for it, with the reason of each', () => {
    const script = new MachineScript()
    const token = script.call({ do: 'wait-for-map' })
    script.input({ type: 'dial-failed', address: 'a:1', reason: 'refused' })
    assert.equal(script.isSettled(token), false)
    script.input({ type: 'dial-failed', address: 'b:1', reason: 'no route' })
    script.assertFailed(token, 'NO_CONTROL')
    const outcome = script.outcome(token)
    assert.match(outcome.ok ? '' : outcome.failure.message, /a:1: refused; b:1: no route/)
  })

  test('that does not come in time ends the wait for it', () => {
    const script = new MachineScript({ ioTimeoutMs: 1000 })
    const token = script.call({ do: 'wait-for-map' })
    script.linkUp(STORE_A)
    script.pass(1000)
    script.assertFailed(token, 'TIMEOUT')
  })
})

describe('a client without pending calls', () => {
  test('is not busy, so that its shell need not tick', () => {
    const script = new MachineScript()
    script.connect()
    const volume = script.open()
    assert.equal(script.machine.isBusy, false)
    script.write(volume, 0, 4096)
    assert.equal(script.machine.isBusy, true)
    script.answer(script.last('write'), 'OK')
    assert.equal(script.machine.isBusy, false)
  })
})

describe('commands', () => {
  const create = {
    do: 'create-volume',
    ...{
      name: 'demo',
      sizeBytes: 32 << 20,
      blockSizeBytes: 4096,
      extentSizeBytes: 16 << 20,
      replicas: 2,
      minInSync: 1,
    },
  } as const

  test('a create that was sent twice and finds what it made is a success', () => {
    const script = new MachineScript()
    script.connect()
    const token = script.call({ do: 'admin', command: create })
    const first = script.last('admin')
    script.linkDown(first.link)
    const second = script.last('admin')
    script.adminDone(second.link, second.message.request, 'EXISTS')
    script.assertOk(token)
  })

  test('a create that was sent once and finds a volume of that name fails', () => {
    const script = new MachineScript()
    script.connect()
    const token = script.call({ do: 'admin', command: create })
    const { link, message } = script.last('admin')
    script.adminDone(link, message.request, 'EXISTS')
    script.assertFailed(token, 'EXISTS')
  })
})
