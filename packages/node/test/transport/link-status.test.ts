import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { describe, it, mock, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type ClusterId, ERRORS, TIMERS } from '@ashlar/proto'
import { faultOf, type LinkStatus, LinkStatuses } from '../../src/transport/link-status.ts'
import { listening } from './raw-peer.ts'

const ADDRESS = '127.0.0.1:7582'
const attempt = {
  ...{ refusal: undefined, errorCode: undefined, endReason: 'why', wasAccepted: false, timedOut: false },
}

describe('an attempt that brought no link', () => {
  const found = (changes: Partial<Parameters<typeof faultOf>[0]>) => faultOf({ ...attempt, ...changes }).state

  it('was refused: no process listens', () => {
    assert.equal(found({ errorCode: 'ECONNREFUSED' }), 'refused')
  })

  it('met silence only where the host accepted it: else the host or the network is down', () => {
    assert.equal(found({ timedOut: true, wasAccepted: true }), 'silent')
    assert.equal(found({ timedOut: true }), 'unreachable')
    for (const errorCode of ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ENOTFOUND'])
      assert.equal(found({ errorCode }), 'unreachable', errorCode)
  })

  it('was reset within the handshake', () => {
    assert.equal(found({ errorCode: 'ECONNRESET', wasAccepted: true }), 'broken')
  })

  it('was refused in the handshake, with the words of the refusal', () => {
    const refusal = { type: 'refused', code: ERRORS.CONFLICT.number, message: 'another cluster' } as const
    assert.deepEqual(faultOf({ ...attempt, refusal }), { state: 'handshake-refused', detail: 'another cluster' })
  })
})

describe('the state of a peer', () => {
  let now = 1000
  const statuses = () => {
    now = 1000
    const kept = new LinkStatuses(() => now)
    kept.setDialed([ADDRESS])
    return kept
  }
  const only = (kept: LinkStatuses) => kept.all()[0] as LinkStatus
  const refused = { state: 'refused', detail: 'connect ECONNREFUSED' } as const
  const refusal = { type: 'refused', code: ERRORS.CONFLICT.number, message: 'another cluster' } as const

  it('keeps since when it is so, over attempts that find the same', () => {
    const kept = statuses()
    for (now of [2000, 3000]) kept.onFailed(ADDRESS, refused)
    const { state, since, checkedAt } = only(kept)
    assert.deepEqual({ state, since, checkedAt }, { state: 'refused', since: 2000, checkedAt: 3000 })
  })

  it('stays silent when the queue of connections of a stopped process is full', () => {
    const kept = statuses()
    const slow = { state: 'unreachable', detail: 'the handshake timed out' } as const
    kept.onFailed(ADDRESS, slow)
    assert.equal(only(kept).state, 'unreachable')
    kept.onFailed(ADDRESS, { state: 'silent', detail: 'the handshake timed out' })
    kept.onFailed(ADDRESS, slow)
    assert.equal(only(kept).state, 'silent')
  })

  it('keeps a refused handshake and the end of the last link until a link is up again', () => {
    const kept = statuses()
    kept.onDown(ADDRESS, 'closed by the other side')
    kept.onFailed(
      ADDRESS,
      { state: 'handshake-refused', detail: 'another cluster' },
      { refusal, refusedBy: 'other side' },
    )
    now = 2000
    kept.onFailed(ADDRESS, refused)
    const { state, refusal: last, lastLink } = only(kept)
    assert.equal(state, 'refused')
    assert.deepEqual(last, { at: 1000, by: 'other side', code: ERRORS.CONFLICT.number, words: 'another cluster' })
    assert.deepEqual(lastLink, { endedAt: 1000, reason: 'closed by the other side' })
    kept.onUp(ADDRESS, undefined)
    assert.equal(only(kept).refusal, undefined)
  })

  it('has a refusal of an accepted connection, unless a link to that address is up', () => {
    const kept = statuses()
    kept.onRefusedInbound('127.0.0.1:1', refusal)
    assert.equal(kept.all().length, 1)
    kept.onRefusedInbound(ADDRESS, refusal)
    assert.equal(only(kept).refusal?.by, 'this side')
    kept.onUp(ADDRESS, undefined)
    kept.onRefusedInbound(ADDRESS, refusal)
    assert.equal(only(kept).refusal, undefined)
  })

  it('is forgotten with the address', () => {
    const kept = statuses()
    kept.setDialed([])
    assert.deepEqual(kept.all(), [])
  })
})

describe('a transport', () => {
  it('reports a link, its end, and a port at which no process listens', async () => {
    await using a = await listening()
    const b = await listening()
    const { address } = b.transport
    a.transport.setDialed([address])
    await a.recorder.until('the link is up', () => (a.recorder.links.length > 0 ? true : undefined))
    const [up] = a.transport.linkStatuses()
    assert.equal(up?.state, 'connected')
    assert.deepEqual(up?.peer, { name: 'n1', address: '127.0.0.1:1', pid: process.pid, store: b.store })
    await b[Symbol.asyncDispose]()
    await a.log.until('a dial failed', (lines) => lines.some(({ message }) => message === 'dial failed'))
    const [down] = a.transport.linkStatuses()
    assert.equal(down?.state, 'refused')
    assert.match(down?.detail ?? '', /ECONNREFUSED/)
    assert.match(down?.lastLink?.reason ?? '', /this node is stopping/)
  })

  it('reports the refusal of another cluster on both sides', async () => {
    const [red, blue] = [randomUUID(), randomUUID()] as string[] as [ClusterId, ClusterId]
    await using b = await listening({ cluster: blue, advertise: '127.0.0.1:2' })
    await using a = await listening({ cluster: red, advertise: '127.0.0.1:3' })
    // Neither advertises where it listens, so that only one of the two can dial the other.
    b.transport.setDialed(['127.0.0.1:3'])
    a.transport.setDialed([b.transport.address])
    await a.log.until('a dial failed', (lines) => lines.some(({ message }) => message === 'dial failed'))
    const [seen] = a.transport.linkStatuses()
    assert.equal(seen?.state, 'handshake-refused')
    assert.equal(seen?.refusal?.by, 'other side')
    assert.match(seen?.refusal?.words ?? '', new RegExp(`${blue}.*${red}`))
    const refusedHere = () => b.transport.linkStatuses()[0]?.refusal !== undefined
    const deadline = performance.now() + 10_000
    while (!refusedHere() && performance.now() < deadline) await delay(10)
    const [own] = b.transport.linkStatuses()
    assert.equal(own?.refusal?.by, 'this side')
    assert.equal(own?.refusal?.code, ERRORS.CONFLICT.number)
  })

  it('reports a process that accepts connections and does not answer as silent', async (t: TestContext) => {
    const sockets: Socket[] = []
    const { promise: accepted, resolve } = Promise.withResolvers<void>()
    const mute = createServer((socket) => {
      sockets.push(socket)
      // The dialing side has seen its connection by then.
      socket.once('data', () => resolve())
    })
    await new Promise<void>((done) => mute.listen(0, '127.0.0.1', done))
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      mute.close()
    })
    const { port } = mute.address() as { port: number }
    await using a = await listening()
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      a.transport.setDialed([`127.0.0.1:${port}`])
      await accepted
      mock.timers.tick(TIMERS.handshakeMs)
    } finally {
      mock.timers.reset()
    }
    await a.log.until('a dial failed', (lines) => lines.some(({ message }) => message === 'dial failed'))
    assert.equal(a.transport.linkStatuses()[0]?.state, 'silent')
  })
})

test('an address that cannot be dialed is unreachable, with the reason', async () => {
  await using a = await listening()
  a.transport.setDialed(['not an address'])
  const [status] = a.transport.linkStatuses()
  assert.equal(status?.state, 'unreachable')
  assert.notEqual(status?.detail, '')
})
