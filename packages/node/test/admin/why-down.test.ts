import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ERRORS, type NodeEnd } from '@ashlar/proto'
import type { FetchPeer } from '../../src/admin/index.ts'
import type { LinkStatus } from '../../src/transport/index.ts'
import { extentRecord, type FakeView, nodeRecord, storeOf } from './fake-view.ts'
import { demo, quietPeers, serve } from './served.ts'

const SINCE = Date.parse('2026-01-01T00:00:00.000Z')
const AT = '2026-01-01T00:00:00.000Z'
const N3 = '127.0.0.1:7583'
const nodes = [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })]
const extents = [extentRecord(1, 0, { inSync: [storeOf(1), storeOf(2)] })]

function status(changes: Partial<LinkStatus>): LinkStatus {
  return {
    ...{ address: N3, state: 'refused', since: SINCE, checkedAt: SINCE, detail: 'connect ECONNREFUSED' },
    ...{ peer: undefined, refusal: undefined, lastLink: undefined },
    ...changes,
  }
}

/** n3 is down, and this is what n1 and, where given, n2 last saw of it. */
function seen(own: Partial<LinkStatus>): FakeView {
  const view = demo({ nodes, extents })
  view.seen = [status(own)]
  return view
}

/** n2 reports what it saw of n3 as its JSON. */
function reportedBy2(saw: object): FetchPeer {
  return async (api, path) => ({ ...((await quietPeers(api, path)) as object), peers: [saw] })
}

async function explained(t: TestContext, view: FakeView, fetchPeer = quietPeers) {
  const call = await serve(t, view, fetchPeer)
  const { status: code, body } = await call('/v1/explain/node/n3')
  assert.equal(code, 200)
  return { because: body.problems.join('\n') as string, todo: body.todo as string[] }
}

const advisesAStart = (todo: readonly string[]) => todo.some((line) => /^start n3/.test(line))

describe('explain of a node that is down', () => {
  it('says that no process listens, and how to start it', async (t) => {
    const { because, todo } = await explained(t, seen({}))
    assert.match(because, new RegExp(`${N3} has refused connections from n1 since ${AT}: no process listens there`))
    assert.ok(advisesAStart(todo), todo.join('\n'))
  })

  it('names the command where the node is one of `ashlar dev`', async (t) => {
    const view = seen({})
    view.devDirectory = '/somewhere/dev'
    const { todo } = await explained(t, view)
    assert.equal(todo[0], 'start n3 again: ashlar dev start n3 --data-dir /somewhere/dev')
  })

  it('says once what several peers see', async (t) => {
    const saw = {
      ...{ address: N3, node: 'n3', state: 'refused', since: '2026-01-01T00:00:05.000Z', checkedAt: AT },
      ...{ detail: 'connect ECONNREFUSED', pid: null, refusal: null, lastLink: null },
    }
    const { because } = await explained(t, seen({}), async (api, path) =>
      path.startsWith('/v1/local/') ? quietPeers(api, path) : reportedBy2(saw)(api, path),
    )
    assert.match(because, new RegExp(`refused connections from n1 and n2 since ${AT}`))
  })

  it('says that a process is silent, and never advises a start that would meet it', async (t) => {
    const peer = { store: storeOf(3), name: 'n3', address: N3, pid: 4711 }
    const { because, todo } = await explained(t, seen({ state: 'silent', peer }))
    assert.match(
      because,
      /nothing has answered there since .*: process 4711 is stopped or hangs, or waits for its disk/,
    )
    assert.equal(advisesAStart(todo), false)
    assert.match(todo[0] ?? '', /: ps -o pid,stat,args -p 4711$/)
    assert.equal(todo[1], 'if n3 is stopped, continue it: kill -CONT 4711')
  })

  it('finds the silent process by its port where no link has named it', async (t) => {
    const { todo } = await explained(t, seen({ state: 'silent' }))
    assert.match(todo[0] ?? '', /fuser 7583\/tcp/)
  })

  it('quotes the refusal of a directory of another cluster, and does not advise a start before it is mended', async (t) => {
    const words = 'data directory of another cluster: n1 belongs to a, n3 to b'
    const refusal = { at: SINCE, by: 'this side', code: ERRORS.CONFLICT.number, words } as const
    const { because, todo } = await explained(t, seen({ refusal }))
    assert.ok(because.includes(`n1 refused the handshake of n3 at ${AT}: "${words}"`), because)
    assert.match(todo[0] ?? '', /^give n3 the data directory of this cluster again/)
    assert.equal(advisesAStart(todo), false)
  })

  it('quotes the refusal by the node itself, such as of an older version', async (t) => {
    const words = 'no common wire version: upgrade the older one'
    const refusal = { at: SINCE, by: 'other side', code: ERRORS.HANDSHAKE.number, words } as const
    const { because, todo } = await explained(t, seen({ state: 'handshake-refused', refusal }))
    assert.ok(because.includes(`n3 refused the handshake of n1 at ${AT}: "${words}"`), because)
    assert.match(todo[0] ?? '', /^do what the refusal of the handshake says/)
  })

  it('says that the host is not reachable', async (t) => {
    const { because, todo } = await explained(t, seen({ state: 'unreachable', detail: 'connect EHOSTUNREACH' }))
    assert.match(because, /not been reachable from n1 since .* \(connect EHOSTUNREACH\)/)
    assert.match(todo[0] ?? '', /nc -vz 127\.0\.0\.1 7583$/)
  })

  it('says that another program has its address', async (t) => {
    const { because, todo } = await explained(t, seen({ state: 'broken', detail: 'Unexpected server response: 404' }))
    assert.match(because, /another program has answered n1 at/)
    assert.match(todo[0] ?? '', /ss -ltnp 'sport = :7583'$/)
  })

  it('distinguishes a stop from a crash by the end of the last link', async (t) => {
    const end = (reason: string) => explained(t, seen({ lastLink: { endedAt: SINCE, reason } }))
    const stopped = await end('closed by the other side (1000: this node is stopping)')
    assert.match(stopped.because, /its last link to n1 ended .*: its process was asked to stop/)
    assert.match((await end('read ECONNRESET')).because, /: no stop was announced/)
  })

  it('is part of the list of nodes, and of the details of one', async (t) => {
    const call = await serve(t, seen({}))
    const { body: listed } = await call('/v1/nodes')
    assert.equal(listed[0].whyDown, null)
    assert.match(listed[2].whyDown.because[0], /has refused connections from n1/)
    const { body: details } = await call('/v1/nodes/n3')
    assert.deepEqual(details.seenBy[0].by, 'n1')
    assert.equal(details.seenBy[0].saw.state, 'refused')
  })

  it('names no peer that a start would not help: another store has the address', async (t) => {
    const moved = [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down', address: '' })]
    const view = demo({ nodes: moved, extents })
    const { because, todo } = await explained(t, view)
    assert.match(because, /another store took over the name or the address of n3/)
    assert.equal(advisesAStart(todo), false)
  })

  it('and runs beside its peers: its log is named, with the command where `ashlar dev` made it', async (t) => {
    const view = seen({ state: 'connected', detail: '' })
    const { todo } = await explained(t, view)
    assert.equal(todo[0], 'read the log of n3, since its process runs and does not renew its lease')
    view.devDirectory = '/data'
    const named = await explained(t, view)
    assert.ok(named.todo[0]?.endsWith(': ashlar dev logs n3 --data-dir /data'), named.todo[0])
  })

  const byItself = (kind: string): NodeEnd => ({ counter: 1, kind, reason: `because of ${kind}`, at: SINCE })
  const endedWith = (kind: string): FakeView => {
    const ended = [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down', ended: byItself(kind) })]
    const view = demo({ nodes: ended, extents })
    view.seen = [status({ lastLink: { endedAt: SINCE, reason: 'closed by the other side' } })]
    return view
  }

  it('quotes why it ended by its own decision, with the exit code, and helps with that cause', async (t) => {
    const full = endedWith('disk-full')
    full.devDirectory = '/dev'
    const { because, todo } = await explained(t, full)
    assert.match(
      because,
      new RegExp(`^it ended by its own decision at ${AT}, with exit code 21: "because of disk-full"$`, 'm'),
    )
    assert.doesNotMatch(because, /no stop was announced/)
    assert.equal(todo[0], 'see what fills the disk of n3: df -h /dev/n3')
    assert.match(todo[1] ?? '', /then start n3 again: ashlar dev start n3 --data-dir \/dev$/)
  })

  it('advises a start at once only where it meets the cause no more', async (t) => {
    const starts = async (kind: string) => advisesAStart((await explained(t, endedWith(kind))).todo)
    for (const kind of ['store-suspect', 'map-ahead', 'internal']) assert.equal(await starts(kind), true, kind)
    for (const kind of ['store-failed', 'disk-full', 'log-failed', 'other-cluster', 'old-copy', 'of a later build'])
      assert.equal(await starts(kind), false, kind)
  })

  it('has the report of its end from a peer where control could not note it', async (t) => {
    const view = seen({})
    view.seen = [{ ...status({}), reported: byItself('log-failed') }]
    const { because, todo } = await explained(t, view)
    assert.match(because, /with exit code 23: "because of log-failed"/)
    assert.equal(advisesAStart(todo), false)
    const { body } = await (await serve(t, endedWith('map-ahead')))('/v1/nodes/n3')
    assert.deepEqual(body.ended, { kind: 'map-ahead', reason: 'because of map-ahead', at: AT, exitCode: 24 })
  })

  it('goes by a refusal that is later than the end', async (t) => {
    const view = endedWith('store-suspect')
    const refusal = { at: SINCE + 1, by: 'this side', code: ERRORS.CONFLICT.number, words: 'another cluster' } as const
    view.seen = [status({ refusal })]
    assert.match((await explained(t, view)).todo[0] ?? '', /^give n3 the data directory of this cluster again/)
  })

  it('has what its process reports where that runs, such as the refusal of its registration', async (t) => {
    const reason = 'store 3 registered with start counter 3, but start 4 was seen before: its data directory is a copy'
    const view = seen({ state: 'connected', detail: '' })
    view.hears = () => true
    const { because, todo } = await explained(t, view, async (api, path) => {
      const local = await quietPeers(api, path)
      return path === '/v1/local' && api === '127.0.0.1:7483' ? { ...(local as object), ready: false, reason } : local
    })
    assert.ok(because.includes(`its process responds, and reports: ${reason}`), because)
    assert.equal(advisesAStart(todo), false)
  })
})
