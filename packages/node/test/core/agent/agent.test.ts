import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AdminCommand,
  ERRORS,
  type ExtentId,
  type MapDelta,
  type Message,
  type NodeName,
  type SetChange,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'
import { ControlAgent } from '../../../src/core/agent/index.ts'
import type { PeerLinks } from '../../../src/core/interfaces.ts'
import { LOOPBACK_LINK } from '../../../src/core/links.ts'
import type { Link } from '../../../src/core/machine.ts'
import { address, CLUSTER, EXTENT, incarnation, only, Reducer, Script, store } from '../control/kit.ts'

const OK = ERRORS.OK.number
const LEADER: Link = 1
const CLIENT: Link = 90

/** An agent of store 2 whose leader, store 1, is played by the test with a real map. */
class AgentRig {
  readonly ctx: Script = new Script()
  readonly leader: Reducer = new Reducer().founded(3)
  readonly agent: ControlAgent
  readonly changed: ExtentId[][] = []
  readonly outcomes: { change: SetChange; committed: boolean; revisionShown: number | undefined }[] = []
  /** The dialed link to the leader; undefined while there is none. */
  link: Link | undefined = LEADER
  answeringStore: StoreId = store(1)

  constructor() {
    const links: PeerLinks = {
      dialed: (asked) => (asked === this.answeringStore ? this.link : undefined),
      dialedAddress: (asked) => (asked === address(1) ? this.link : undefined),
      storeOf: (link) => (link === this.link ? this.answeringStore : undefined),
      counterOf: () => 1,
      lastHeard: () => this.ctx.now,
    }
    this.agent = new ControlAgent(
      {
        store: store(2),
        name: 'n2' as NodeName,
        address: address(2),
        api: '',
        incarnation: incarnation(1),
        trust: 'trusted',
      },
      links,
    )
    this.agent.listen({
      onMapChanged: (_ctx, changed) => this.changed.push([...changed]),
      onSetChanged: (_ctx, change, committed) =>
        this.outcomes.push({ change, committed, revisionShown: this.agent.map.extents.get(change.extent)?.revision }),
    })
  }

  /** Messages to the leader that one input and the end of its step give. */
  step(input: () => void = () => {}): Message[] {
    input()
    this.agent.endStep(this.ctx)
    const effects = this.ctx.take()
    this.#other.push(...effects.filter((effect) => effect.type !== 'send' || effect.link !== this.link))
    return effects.flatMap((effect) => (effect.type === 'send' && effect.link === this.link ? [effect.message] : []))
  }
  #other: ReturnType<Script['take']> = []

  /** What went elsewhere since the last call. */
  elsewhere() {
    const taken = this.#other
    this.#other = []
    return taken
  }

  sentTo(link: Link): Message[] {
    return this.elsewhere().flatMap((effect) =>
      effect.type === 'send' && effect.link === link ? [effect.message] : [],
    )
  }

  receive(message: Message, link: Link = LEADER): Message[] {
    return this.step(() => assert.ok(this.agent.onMessage(this.ctx, link, message)))
  }

  begin(): Message[] {
    return this.step(() => this.agent.begin(this.ctx, CLUSTER, [{ store: store(1), address: address(1) }]))
  }

  pass(ms: number): Message[] {
    this.ctx.now += ms
    return this.step(() => this.agent.onTick(this.ctx))
  }

  delta(): MapDelta {
    return this.leader.state.deltaSince(this.agent.map.revision)
  }

  giveMap(): Message[] {
    return this.receive({ type: 'map-update', delta: this.delta() })
  }

  /** Registered, with the map and a lease. Gives nothing back: a step may have sent anything. */
  registered(): this {
    const { request } = only(this.begin(), 'register')
    const sent = this.receive({
      type: 'registered',
      request,
      code: OK,
      message: '',
      revision: this.leader.state.revision,
    })
    this.giveMap()
    this.answer(only(sent, 'renew').token)
    this.step()
    this.elsewhere()
    return this
  }

  answer(token: number, revision: number = this.leader.state.revision, code: number = OK): Message[] {
    return this.receive({ type: 'renewed', token, code, revision })
  }

  get held(): boolean {
    return this.agent.leaseHeld(this.ctx)
  }

  settle(): void {
    for (let n = 0; n < 3; n++) this.step()
  }
}

const CREATE: AdminCommand = {
  do: 'create-volume',
  name: 'v1',
  sizeBytes: 1 << 24,
  blockSizeBytes: 4096,
  extentSizeBytes: 1 << 24,
  replicas: 3,
  minInSync: 2,
}

describe('registration', () => {
  it('begins when the cluster is known, is sent again until answered, and then the map is asked for', () => {
    const rig = new AgentRig()
    assert.deepEqual(rig.pass(50), [])
    const { request } = only(rig.begin(), 'register')
    assert.deepEqual(rig.pass(TIMERS.controlRetryMs - 100), [])
    assert.equal(only(rig.pass(200), 'register').request, request)
    const sent = rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 })
    assert.equal(only(sent, 'get-map').watch, true)
    assert.equal(only(sent, 'renew').revision, 0)
  })

  it('is sent at once over a new link to the leader', () => {
    const rig = new AgentRig()
    rig.begin()
    rig.link = undefined
    assert.deepEqual(
      rig.step(() => rig.agent.onLinkDown(rig.ctx, LEADER)),
      [],
    )
    assert.match(rig.agent.view(rig.ctx.now).waitsFor, /control's voter at n1:7580 does not answer/)
    rig.link = 5
    only(
      rig.step(() => rig.agent.onLinkUp(rig.ctx)),
      'register',
    )
  })

  it('goes to this very process where it is the voter', () => {
    const rig = new AgentRig()
    rig.step(() => rig.agent.begin(rig.ctx, CLUSTER, [{ store: store(2), address: address(2) }]))
    only(rig.sentTo(LOOPBACK_LINK), 'register')
  })

  it('a refusal is said once and kept for people; it is tried again', () => {
    const rig = new AgentRig()
    const { request } = only(rig.begin(), 'register')
    const refusal: Message = {
      type: 'registered',
      request,
      code: ERRORS.CONFLICT.number,
      message: 'a copy',
      revision: 0,
    }
    rig.receive(refusal)
    rig.pass(TIMERS.controlRetryMs)
    rig.receive(refusal)
    const facts = rig.elsewhere().filter((effect) => effect.type === 'fact')
    assert.equal(facts.length, 1)
    assert.equal(rig.agent.view(rig.ctx.now).waitsFor, 'a copy')
    only(rig.pass(TIMERS.controlRetryMs), 'register')
  })

  it('another store at the address of the voter is not control', () => {
    const rig = new AgentRig()
    rig.answeringStore = store(7)
    assert.deepEqual(rig.begin(), [])
    assert.match(rig.agent.view(rig.ctx.now).waitsFor, /another store .* answers at n1:7580/)
  })
})

describe('the lease', () => {
  it('A2.3: counts from the moment at which the answered renewal was sent', () => {
    const rig = new AgentRig().registered()
    const { token } = only(rig.pass(TIMERS.renewMs), 'renew')
    const sentAt = rig.ctx.now
    rig.ctx.now += 400
    rig.answer(token)
    rig.ctx.now = sentAt + TIMERS.leaseMs - 1
    assert.equal(rig.held, true)
    rig.ctx.now = sentAt + TIMERS.leaseMs
    assert.equal(rig.held, false)
  })

  it('amendment 3: counts only once the map revision that the answer named is applied', () => {
    const rig = new AgentRig()
    const { request } = only(rig.begin(), 'register')
    const { token } = only(rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 }), 'renew')
    rig.answer(token)
    assert.equal(rig.held, false)
    rig.giveMap()
    assert.equal(rig.held, true)
  })

  it('amendment 3: the listener has seen the map before the lease counts', () => {
    const rig = new AgentRig()
    let heldWhileTold: boolean | undefined
    rig.agent.listen({
      onMapChanged: (ctx) => {
        heldWhileTold = rig.agent.leaseHeld(ctx)
      },
      onSetChanged: () => {},
    })
    const { request } = only(rig.begin(), 'register')
    const { token } = only(rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 }), 'renew')
    rig.answer(token)
    rig.giveMap()
    assert.equal(heldWhileTold, false)
    assert.equal(rig.held, true)
  })

  it('is renewed every renewMs, each with a token of its own; an unknown or repeated answer counts for nothing', () => {
    const rig = new AgentRig().registered()
    const first = only(rig.pass(TIMERS.renewMs), 'renew')
    assert.deepEqual(rig.pass(50), [])
    const second = only(rig.pass(TIMERS.renewMs), 'renew')
    assert.notEqual(first.token, second.token)
    rig.ctx.now += TIMERS.leaseMs
    assert.equal(rig.held, false)
    rig.answer(9999)
    rig.answer(first.token)
    rig.answer(second.token)
    assert.equal(rig.held, false, 'an answer this late is older than the lease')
  })

  it('ends when control says to register again, and no renewal sent before counts after that', () => {
    const rig = new AgentRig().registered()
    const early = only(rig.pass(TIMERS.renewMs), 'renew')
    const late = only(rig.pass(TIMERS.renewMs), 'renew')
    const sent = rig.answer(early.token, 0, ERRORS.NOT_FOUND.number)
    assert.equal(rig.held, false)
    const { request } = only(sent, 'register')
    rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 })
    rig.answer(late.token)
    assert.equal(rig.held, false)
  })

  it('that runs out is told once', () => {
    const rig = new AgentRig().registered()
    for (let n = 0; n < 10; n++) rig.pass(TIMERS.renewMs)
    const lost = rig.elsewhere().filter((effect) => effect.type === 'fact' && effect.fact.what === 'lease-lost')
    assert.equal(lost.length, 1)
    assert.equal(rig.agent.view(rig.ctx.now).leaseRemainingMs, 0)
  })

  it('a node renews at once when an attachment changed a volume, telling the revision that it has applied', () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    rig.leader.attach(5)
    const renewal = only(rig.giveMap(), 'renew')
    assert.equal(renewal.revision, rig.leader.state.revision)
  })
})

describe('the map', () => {
  it('reaches the listener with the extents that changed', () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    assert.deepEqual(rig.changed.at(-1), [EXTENT])
  })

  it('with a gap is asked for again, and not applied', () => {
    const rig = new AgentRig().registered()
    const { revision } = rig.agent.map
    rig.leader.create()
    rig.leader.attach(5)
    const late = rig.leader.state.deltaSince(revision + 1)
    rig.pass(TIMERS.controlRetryMs)
    const sent = rig.receive({ type: 'map-update', delta: late })
    assert.equal(only(sent, 'get-map').have, revision)
    assert.equal(rig.agent.map.revision, revision)
  })

  it('of another cluster is not applied', () => {
    const rig = new AgentRig().registered()
    const delta = { ...rig.delta(), cluster: 'another' as never, to: 1000 }
    rig.receive({ type: 'map-update', delta })
    assert.notEqual(rig.agent.map.revision, 1000)
  })

  it('is served to clients from the copy, with every change for those who watch', () => {
    const rig = new AgentRig().registered()
    rig.receive({ type: 'get-map', have: 0, watch: true }, CLIENT)
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta.to, rig.leader.state.revision)
    rig.leader.create()
    const delta = rig.delta()
    rig.receive({ type: 'map-update', delta })
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta, delta, 'passed on as it came')
    rig.step(() => rig.agent.onLinkDown(rig.ctx, CLIENT))
    rig.leader.attach(5)
    rig.giveMap()
    assert.deepEqual(rig.sentTo(CLIENT), [])
  })

  it('asked for before there is one is answered when there is', () => {
    const rig = new AgentRig()
    rig.begin()
    rig.receive({ type: 'get-map', have: 0, watch: false }, CLIENT)
    assert.deepEqual(rig.sentTo(CLIENT), [])
    rig.giveMap()
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta.from, 0)
    rig.leader.create()
    rig.giveMap()
    assert.deepEqual(rig.sentTo(CLIENT), [])
  })
})

describe('changes of in-sync sets', () => {
  const withVolume = () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    rig.settle()
    const { revision, epoch } = rig.leader.record()
    const change: SetChange = { extent: EXTENT, revision, epoch, inSync: [rig.leader.record().primary.store] }
    return { rig, change }
  }

  it('of one step share a message', () => {
    const { rig, change } = withVolume()
    const other = { ...change, extent: (EXTENT + 1) as ExtentId }
    const sent = rig.step(() => {
      rig.agent.requestChange(rig.ctx, change)
      rig.agent.requestChange(rig.ctx, other)
    })
    assert.equal(only(sent, 'change-sets').changes.length, 2)
  })

  it('A2.7: a lost answer is no refusal: the request is sent again, with its number, until it is answered', () => {
    const { rig, change } = withVolume()
    const first = only(
      rig.step(() => rig.agent.requestChange(rig.ctx, change)),
      'change-sets',
    )
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'change-sets')
    assert.equal(only(again, 'change-sets').request, first.request)
    rig.link = 5
    const over = rig.step(() => rig.agent.onLinkUp(rig.ctx)).filter((message) => message.type === 'change-sets')
    assert.equal(only(over, 'change-sets').request, first.request)
    assert.deepEqual(rig.outcomes, [])
  })

  it('an outcome is told when the map shows it, and not before', () => {
    const { rig, change } = withVolume()
    const { request } = only(
      rig.step(() => rig.agent.requestChange(rig.ctx, change)),
      'change-sets',
    )
    rig.leader.change([2])
    rig.leader.apply({ do: 'change-sets', store: rig.leader.record().primary.store, counter: 1, changes: [change] })
    const record = rig.leader.record()
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: OK, record }] })
    assert.deepEqual(rig.outcomes, [])
    rig.giveMap()
    assert.deepEqual(
      rig.outcomes.map(({ committed, revisionShown }) => ({ committed, revisionShown })),
      [{ committed: true, revisionShown: record.revision }],
    )
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: OK, record }] })
    assert.equal(rig.outcomes.length, 1, 'told once')
  })

  it('a refusal is told as one, and the rest of a request is answered later', () => {
    const { rig, change } = withVolume()
    const other = { ...change, extent: (EXTENT + 1) as ExtentId }
    const { request } = only(
      rig.step(() => {
        rig.agent.requestChange(rig.ctx, change)
        rig.agent.requestChange(rig.ctx, other)
      }),
      'change-sets',
    )
    const record = rig.leader.record()
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: ERRORS.CONFLICT.number, record }] })
    assert.deepEqual(
      rig.outcomes.map((outcome) => outcome.committed),
      [false],
    )
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'change-sets')
    assert.deepEqual(only(again, 'change-sets').changes, [other])
  })
})

describe('releases', () => {
  it('go one at a time and are sent again until answered', () => {
    const rig = new AgentRig().registered()
    const one = { extent: EXTENT, epoch: 1 as never }
    const two = { extent: (EXTENT + 1) as ExtentId, epoch: 1 as never }
    const first = only(
      rig.step(() => rig.agent.release(rig.ctx, [one], 'shutdown')),
      'release',
    )
    assert.deepEqual(
      rig.step(() => rig.agent.release(rig.ctx, [two], 'slow')),
      [],
    )
    assert.equal(rig.agent.releasing, true)
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'release')
    assert.equal(only(again, 'release').request, first.request)
    const next = rig.receive({ type: 'released', request: first.request, code: OK })
    assert.equal(only(next, 'release').reason, 'slow')
    rig.receive({ type: 'released', request: only(next, 'release').request, code: OK })
    assert.equal(rig.agent.releasing, false)
  })
})

describe('commands of clients', () => {
  it('go to the leader and their answers back to whoever asked', () => {
    const rig = new AgentRig().registered()
    const sent = only(rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT), 'admin')
    assert.deepEqual(sent.command, CREATE)
    rig.receive({ type: 'admin-done', request: sent.request, code: OK, message: '', hint: '', revision: 9 })
    const done = only(rig.sentTo(CLIENT), 'admin-done')
    assert.deepEqual([done.request, done.code, done.revision], [41, OK, 9])
  })

  it('of the HTTP API are answered by their token', () => {
    const rig = new AgentRig().registered()
    const sent = only(
      rig.step(() => rig.agent.onAdmin(rig.ctx, 77, CREATE)),
      'admin',
    )
    rig.receive({ type: 'admin-done', request: sent.request, code: OK, message: '', hint: '', revision: 9 })
    const done = rig.elsewhere().find((effect) => effect.type === 'admin-done')
    assert.equal(done?.type === 'admin-done' && done.token, 77)
  })

  it('without a leader fail at once and name the voter that does not answer', () => {
    const rig = new AgentRig()
    rig.link = undefined
    rig.begin()
    rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT)
    const done = only(rig.sentTo(CLIENT), 'admin-done')
    assert.equal(done.code, ERRORS.NO_CONTROL.number)
    assert.match(done.hint, /n1:7580 does not answer/)
  })

  it('whose link to the leader is lost go over the next one; an answer that may be their own says so', () => {
    const rig = new AgentRig().registered()
    const first = only(rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT), 'admin')
    rig.link = undefined
    rig.step(() => rig.agent.onLinkDown(rig.ctx, LEADER))
    rig.link = 5
    const again = only(
      rig.step(() => rig.agent.onLinkUp(rig.ctx)).filter((message) => message.type === 'admin'),
      'admin',
    )
    assert.equal(again.request, first.request)
    rig.receive(
      {
        type: 'admin-done',
        request: again.request,
        code: ERRORS.EXISTS.number,
        message: 'v1 exists',
        hint: '',
        revision: 9,
      },
      5,
    )
    assert.match(only(rig.sentTo(CLIENT), 'admin-done').hint, /may have done it/)
  })

  it('that control never answers end as a timeout', () => {
    const rig = new AgentRig().registered()
    rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT)
    rig.pass(16_000)
    assert.equal(only(rig.sentTo(CLIENT), 'admin-done').code, ERRORS.TIMEOUT.number)
  })

  it('are limited in number', () => {
    const rig = new AgentRig().registered()
    for (let n = 0; n < 1025; n++) rig.receive({ type: 'admin', request: n, command: CREATE }, CLIENT)
    const [done] = rig.sentTo(CLIENT)
    assert.equal(done?.type === 'admin-done' && done.code, ERRORS.BUSY.number)
  })
})
