import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Epoch,
  ERRORS,
  extentId,
  FEATURE_LEVEL,
  type Message,
  type NodeName,
  type StoreId,
  TIMERS,
  type VolumeId,
  WIRE_VERSION,
} from '@ashlar/proto'
import { ControlAgent } from '../../../src/core/agent/index.ts'
import type { PeerLinks } from '../../../src/core/interfaces.ts'
import type { Link } from '../../../src/core/machine.ts'
import { address, CLUSTER, incarnation, Reducer, Script, store } from '../control/kit.ts'

const OK = ERRORS.OK.number
const NO_CONTROL = ERRORS.NO_CONTROL.number
const CLIENT: Link = 90

/** An agent of store 9 with three voters, stores 1 to 3, each reached over the link of its number. */
class VotersRig {
  readonly ctx = new Script()
  readonly reached = new Set([1, 2, 3])
  readonly map = new Reducer().bootstrapped(3)
  readonly agent: ControlAgent

  constructor() {
    const numberOf = (asked: StoreId) => [1, 2, 3, 4].find((n) => store(n) === asked && this.reached.has(n))
    const links: PeerLinks = {
      dialed: numberOf,
      dialedAddress: (asked) => [1, 2, 3].find((n) => address(n) === asked && this.reached.has(n)),
      storeOf: (link) => store(link),
      counterOf: () => 1,
      wireOf: () => WIRE_VERSION,
      levelOf: () => FEATURE_LEVEL,
      lastHeard: () => this.ctx.now,
      lastFrame: () => this.ctx.now,
    }
    const name = 'n9' as NodeName
    const start = { store: store(9), name, address: address(9), api: '', incarnation: incarnation(1) }
    this.agent = new ControlAgent({ ...start, trust: 'trusted' }, links)
  }

  step(input: () => void = () => {}): { link: Link; message: Message }[] {
    input()
    this.agent.endStep(this.ctx)
    return this.ctx.take().flatMap((it) => (it.type === 'send' ? [{ link: it.link, message: it.message }] : []))
  }

  begin() {
    const voters = [1, 2, 3].map((n) => ({ store: store(n), address: address(n) }))
    return this.step(() => this.agent.begin(this.ctx, CLUSTER, voters))
  }

  pass(ms: number) {
    this.ctx.now += ms
    return this.step(() => this.agent.onTick(this.ctx))
  }

  receive(link: Link, message: Message) {
    return this.step(() => this.agent.onMessage(this.ctx, link, message))
  }

  /** The voter that was just asked to register says that it does not lead. */
  refuse(sent: { link: Link; message: Message }[]) {
    const asked = registration(sent)
    const refusal = { type: 'registered', code: NO_CONTROL, message: '', revision: 0 } as const
    return this.receive(asked.link, { ...refusal, request: asked.request })
  }

  /** The voter that a renewal went to answers it. */
  renewed(sent: { link: Link; message: Message }[], code: number) {
    for (const { link, message } of sent)
      if (message.type === 'renew')
        return this.receive(link, { type: 'renewed', token: message.token, code, revision: 0 })
    return assert.fail('nothing was renewed')
  }

  refuseRenewal(sent: { link: Link; message: Message }[]) {
    return this.renewed(sent, NO_CONTROL)
  }

  /** Registered with the voter that is asked. */
  accept(sent: { link: Link; message: Message }[]) {
    const { link, request } = registration(sent)
    return this.receive(link, { type: 'registered', request, code: OK, message: '', revision: 0 })
  }
}

function registration(sent: { link: Link; message: Message }[]): { link: Link; request: number } {
  for (const { link, message } of sent) if (message.type === 'register') return { link, request: message.request }
  return assert.fail('nothing was asked')
}

const linksOf = (sent: { link: Link; message: Message }[], type: Message['type']) =>
  sent.filter(({ message }) => message.type === type).map(({ link }) => link)

describe('an agent among several voters', () => {
  it('tries the next voter if one does not lead, and pauses after all of them', () => {
    const rig = new VotersRig()
    const first = rig.begin()
    assert.equal(registration(first).link, 1)
    const second = rig.refuse(first)
    assert.equal(registration(second).link, 2)
    const third = rig.refuse(second)
    assert.equal(registration(third).link, 3)
    assert.deepEqual(rig.refuse(third), [], 'all three refused: they are not asked again at once')
    assert.equal(registration(rig.pass(150)).link, 1)
  })

  it('tries a voter that it can reach', () => {
    const rig = new VotersRig()
    rig.reached.delete(1)
    assert.equal(registration(rig.begin()).link, 2)
  })

  it('leaves a leader that is disconnected or silent, without another registration', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    rig.reached.delete(1)
    assert.deepEqual(linksOf(rig.pass(50), 'renew'), [2])
    const later = []
    for (let waited = 0; waited <= TIMERS.controlRetryMs; waited += TIMERS.tickMs)
      later.push(...rig.pass(TIMERS.tickMs))
    assert.deepEqual(linksOf(later, 'renew').at(-1), 3)
    assert.deepEqual(linksOf(later, 'register'), [])
  })

  it('stays with a leader that responds', () => {
    const rig = new VotersRig()
    let sent = rig.accept(rig.begin())
    for (let round = 0; round < 10; round++) {
      for (const { link, message } of sent)
        if (message.type === 'renew')
          rig.receive(link, { type: 'renewed', token: message.token, code: OK, revision: 0 })
      sent = rig.pass(TIMERS.renewMs)
      assert.deepEqual(linksOf(sent, 'renew'), [1])
    }
  })

  it('goes at once to the leader known to the local log', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    const sent = rig.step(() => rig.agent.onLeaderKnown({ store: store(3), address: address(3) }))
    assert.deepEqual(linksOf(sent, 'renew'), [3])
  })

  it('stays with the voter that the local log elected, also before it leads', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    const sent = rig.step(() => rig.agent.onLeaderKnown({ store: store(3), address: address(3) }))
    assert.deepEqual(linksOf(rig.refuseRenewal(sent), 'renew'), [], 'not at once')
    assert.deepEqual(
      linksOf(rig.pass(TIMERS.tickMs), 'renew'),
      [3],
      'the one that led before may be the one that hangs',
    )
  })

  it('tries all voters again when the local log knows no leader', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    const sent = rig.step(() => rig.agent.onLeaderKnown({ store: store(3), address: address(3) }))
    rig.step(() => rig.agent.onLeaderKnown(undefined))
    assert.deepEqual(linksOf(rig.refuseRenewal(sent), 'renew'), [1])
  })

  it('repeats a change at once when the voter that received it becomes leader', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    const refused = rig.step(() => rig.agent.onLeaderKnown({ store: store(3), address: address(3) }))
    const change = { extent: extentId(1 as VolumeId, 0), revision: 1, epoch: 1 as Epoch, inSync: [store(9)] }
    assert.deepEqual(
      linksOf(
        rig.step(() => rig.agent.requestChange(rig.ctx, change)),
        'change-sets',
      ),
      [3],
    )
    rig.refuseRenewal(refused)
    const renewed = rig.renewed(rig.pass(TIMERS.tickMs), OK)
    assert.deepEqual(linksOf(renewed, 'change-sets'), [3])
    assert.deepEqual(linksOf(rig.renewed(rig.pass(TIMERS.renewMs), OK), 'change-sets'), [], 'and once')
  })

  it('tries a leader that only the local log knows, when the known voters are no longer voters', () => {
    const rig = new VotersRig()
    rig.refuse(rig.begin())
    rig.reached.add(4)
    const sent = rig.step(() => rig.agent.onLeaderKnown({ store: store(4), address: address(4) }))
    assert.deepEqual(linksOf(sent, 'register'), [4])
  })

  it('tries a voter known from the greeting of a peer, after the known ones, while the map has none', () => {
    const rig = new VotersRig()
    rig.reached.add(4)
    const first = rig.begin()
    const voters = [1, 4].map((n) => ({ store: store(n), address: address(n) }))
    assert.deepEqual(
      linksOf(
        rig.step(() => rig.agent.onGreeted({ cluster: CLUSTER, voters })),
        'register',
      ),
      [],
    )
    const fourth = rig.refuse(rig.refuse(rig.refuse(first)))
    assert.equal(registration(fourth).link, 4)
  })

  it('takes no voters from peers of other clusters, or of none', () => {
    const rig = new VotersRig()
    rig.begin()
    const voters = [{ store: store(4), address: address(4) }]
    rig.agent.onGreeted({ voters })
    rig.agent.onGreeted({ cluster: 'another' as typeof CLUSTER, voters })
    assert.deepEqual(
      rig.agent.voters.map((voter) => voter.store),
      [1, 2, 3].map(store),
    )
  })

  it('sends a command that one voter refused to the next, and reports to the client only what a leader answers', () => {
    const rig = new VotersRig()
    rig.accept(rig.begin())
    const command = { do: 'remove-volume', name: 'v' } as const
    const asked = rig.receive(CLIENT, { type: 'admin', request: 7, command })
    assert.deepEqual(linksOf(asked, 'admin'), [1])
    const request = asked[0]?.message.type === 'admin' ? asked[0].message.request : 0
    const done = { type: 'admin-done', request, message: '', hint: '', revision: 0 } as const
    const again = rig.receive(1, { ...done, code: NO_CONTROL })
    assert.deepEqual(linksOf(again, 'admin-done'), [])
    assert.deepEqual(linksOf(again, 'admin'), [2])
    assert.deepEqual(linksOf(rig.receive(2, { ...done, code: OK }), 'admin-done'), [CLIENT])
  })
})
