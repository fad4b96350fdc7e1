import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Holder, type SessionId, TIMERS, WIRE_VERSION_MIN } from '@ashlar/proto'
import { MachineScript, STORE_B } from '../kit/machine-script.ts'

const OTHER: Holder = { session: 77 as SessionId, mode: 'shared', client: 'another' }

/** A client that shares the volume, at this feature level. */
function sharing(featureLevel = 1) {
  const script = new MachineScript()
  script.featureLevel = featureLevel
  const { a } = script.connect()
  const volume = script.open('shared')
  const attach = script.all('admin')[0]?.message.command
  assert.ok(attach?.do === 'attach')
  return { script, a, volume, attach, own: { session: attach.session, mode: 'shared', client: 'someone' } as Holder }
}

describe('a session that shares a volume (amendment 31)', () => {
  test('is over once the map does not name it, in its own generation too', () => {
    const { script, a, volume, own } = sharing()
    script.setHolders([own, OTHER])
    script.sendMap(a)
    const writing = script.write(volume, 0, 4096)
    assert.equal(script.isSettled(writing), false)
    script.setHolders([OTHER])
    script.sendMap(a)
    script.assertFailed(writing, 'FENCED')
  })

  test('is not, as long as a node may end generations only', () => {
    const { script, a, volume } = sharing(0)
    script.setHolders([OTHER])
    script.sendMap(a)
    const writing = script.write(volume, 0, 4096)
    assert.equal(script.isSettled(writing), false)
  })

  test('opens once the map has the very attachment, not an older one of the same generation', () => {
    const script = new MachineScript()
    script.featureLevel = 1
    const { a } = script.connect()
    const token = script.call({ do: 'open', name: 'demo', mode: 'shared', policy: 'take' })
    const { link, message } = script.last('admin')
    assert.ok(message.command.do === 'attach')
    script.setHolders([OTHER])
    script.sendMap(a)
    script.setHolders([OTHER, { session: message.command.session, mode: 'shared', client: 'someone' }])
    script.adminDone(link, message.request, 'OK')
    assert.equal(script.isSettled(token), false)
    script.sendMap(a)
    script.assertOk(token)
  })

  test('renews its attachment only over links whose wire version has renewals', () => {
    const script = new MachineScript()
    script.featureLevel = 1
    const { a, b } = script.connect()
    script.open('shared')
    script.input({ type: 'link-up', link: 900, address: 'old:1', store: STORE_B, wire: WIRE_VERSION_MIN })
    const renewals = () => script.all('admin').filter(({ message }) => message.command.do === 'renew-attachment')
    for (let times = 0; times < 20; times++) script.pass(TIMERS.holderRenewMs)
    assert.ok(renewals().length > 0)
    assert.ok(renewals().every(({ link }) => link === a || link === b))
    script.linkDown(a)
    script.linkDown(b)
    const before = renewals().length
    script.pass(TIMERS.holderRenewMs)
    assert.equal(renewals().length, before)
  })

  test('says again and again that it is there, and is over when control says so', () => {
    const { script, volume, attach } = sharing()
    assert.equal(attach.renews, true)
    assert.equal(script.machine.renews, true)
    for (let times = 0; times < 3; times++) script.pass(TIMERS.holderRenewMs)
    const renewals = script.all('admin').filter(({ message }) => message.command.do === 'renew-attachment')
    assert.ok(renewals.length >= 3)
    const { link, message } = script.last('admin')
    script.adminDone(link, message.request, 'FENCED')
    script.pass(1000)
    script.assertFailed(script.write(volume, 0, 4096), 'FENCED')
    assert.equal(script.machine.isBusy, false)
  })

  test('says nothing to nodes that may not understand it', () => {
    const { script, attach } = sharing(0)
    assert.equal(attach.renews, undefined)
    for (let times = 0; times < 3; times++) script.pass(TIMERS.holderRenewMs)
    assert.equal(script.all('admin').length, 1)
  })
})
