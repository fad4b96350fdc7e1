import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_TRIM, extentId, extentIndexOf, KIB, LIMITS, MIB, type VolumeId } from '@ashlar/proto'
import { Random } from '../../src/core/random.ts'
import { Session } from '../../src/core/session.ts'
import { MachineScript } from '../kit/machine-script.ts'

const EXTENT = 16 * MIB
const BLOCK = 4 * KIB

function clientOf(extents: number): { script: MachineScript; volume: number } {
  const script = new MachineScript({}, { sizeBytes: extents * EXTENT })
  script.connect()
  return { script, volume: script.open() }
}

test('the cost of a response depends on the pieces that it lets out, not on the extents that wait', (t) => {
  const extents = 2000
  const { script, volume } = clientOf(extents)
  for (let at = 0; at < 2 * extents; at++) script.write(volume, (at % extents) * EXTENT, 64 * KIB)
  const looks = t.mock.method(Session.prototype, 'canIssue').mock
  const sent = script.all('write')
  for (const write of sent.slice(0, 100)) script.answer(write, 'OK')
  assert.equal(script.all('write').length, sent.length + 100, 'each makes room for one')
  assert.ok(looks.callCount() <= 100 * 10, `${looks.callCount()} looks for 100 answers`)
})

test('a response makes space for the next request of its own extent', () => {
  const { script, volume } = clientOf(2)
  for (let at = 0; at < 200; at++) script.read(volume, (at % 16) * MIB, MIB)
  const sent = script.all('read')
  for (const read of sent.slice(0, 10)) script.answerRead(read, 1)
  assert.equal(script.all('read').length, sent.length + 10)
})

test('where many wait for the same room they take turns', () => {
  const { script, volume } = clientOf(1100)
  for (let at = 0; at < 1100; at++) script.write(volume, at * EXTENT, 64 * KIB)
  const [first] = script.all('write')
  const waiting = script.all('write').length
  assert.ok(first !== undefined && waiting < 1100)
  for (let at = 0; at < 10; at++) script.write(volume, at * MIB, 64 * KIB, 2)
  script.answer(first, 'OK')
  assert.equal(script.last('write').message.payload[0], 1, 'one that waited longer, not the one that just had its turn')
})

test('a lane that waits keeps its turn while more calls come to it', () => {
  const { script, volume } = clientOf(1100)
  for (let at = 0; at < 1100; at++) script.write(volume, at * EXTENT, 64 * KIB)
  const sent = script.all('write')
  for (let nth = 1; nth < 4; nth++) script.write(volume, sent.length * EXTENT, 64 * KIB, 2)
  const [first] = sent
  assert.ok(first !== undefined)
  script.answer(first, 'OK')
  const next = script.last('write').message
  assert.deepEqual([next.extent, next.payload[0]], [extentId(1 as VolumeId, sent.length), 1])
})

for (const [busy, smaller, larger, stuck] of [
  [1100, 64 * KIB, MIB, 0],
  [1100, 64 * KIB, 68 * KIB, 0],
  [1900, 36 * KIB, 64 * KIB, 0],
  [200, 512 * KIB, MIB, 0],
  [1100, 64 * KIB, MIB, 12],
] as const)
  test(`${larger / KIB} KiB to an idle extent are sent beside ${smaller / KIB} KiB to each of ${busy} busy and 1 MiB to each of ${stuck} stuck ones`, () => {
    const { script, volume } = clientOf(1 + busy + stuck)
    const ofBusy: ReturnType<typeof script.all<'write'>> = []
    let [seen, inFlight, sent] = [0, 0, false]
    const note = (): void => {
      for (const { link, message } of script.sent.slice(seen)) {
        if (message.type !== 'write') continue
        inFlight += message.payload.length
        if (message.payload[0] === 1) ofBusy.push({ link, message })
        else if (message.payload[0] === 2) sent = true
      }
      seen = script.sent.length
      assert.ok(inFlight <= LIMITS.clientInFlightBytes)
    }
    for (let at = 1; at <= 2 * busy; at++) script.write(volume, (1 + (at % busy)) * EXTENT, smaller, 1)
    for (let at = 1; at <= stuck; at++) script.write(volume, (busy + at) * EXTENT, MIB, 3)
    script.write(volume, 0, larger, 2)
    note()
    // A busy extent has a further call before each response.
    for (let answered = 0; answered < 3 * busy && !sent; answered++) {
      const write = ofBusy[answered] ?? assert.fail('nothing is in flight')
      script.write(volume, extentIndexOf(write.message.extent) * EXTENT, smaller, 1)
      inFlight -= write.message.payload.length
      script.answer(write, 'OK')
      note()
    }
    assert.ok(sent, 'smaller calls of busy extents pass it without end')
  })

/** A random call of any kind, some of them over several extents. */
function callAnything(script: MachineScript, volume: number, random: () => number, extents: number): void {
  const blocks = (extents * EXTENT) / BLOCK
  const at = Math.floor(random() * blocks)
  const most = Math.min(blocks - at, random() < 0.1 ? (3 * EXTENT) / BLOCK : 512)
  const [offset, length] = [at * BLOCK, (1 + Math.floor(random() * most)) * BLOCK]
  const kind = random()
  if (kind < 0.4) script.write(volume, offset, length)
  else if (kind < 0.7) script.read(volume, offset, length)
  else if (kind < 0.9) script.call({ do: 'discard', volume, offset, length, kind: 'trim' })
  else script.call({ do: 'query-allocation', volume, offset, length })
}

/** Answers one request, any of those that were sent and not answered. */
function answerOne(script: MachineScript, open: MachineScript['sent'][number][], random: () => number): void {
  const at = Math.floor(random() * open.length)
  const [sent] = open.splice(at, 1)
  assert.ok(sent !== undefined, 'calls wait, and nothing is on its way')
  const { link, message } = sent
  if (message.type === 'read') script.answerRead({ link, message }, 1)
  else if (message.type === 'query-allocation') {
    const { request, blocks } = message
    script.receive(link, { type: 'allocation', request, runs: [{ blocks, kind: BLOCK_TRIM }] })
  } else if (message.type === 'write' || message.type === 'zero') script.answer({ link, message }, 'OK')
}

for (let seed = 1; seed <= 6; seed++) {
  test(`nothing that has room stays behind (seed ${seed})`, () => {
    const source = new Random(seed)
    const random = () => source.fraction()
    const extents = 2 + (seed % 6) * 4
    const { script, volume } = clientOf(extents)
    let [seen, calls] = [script.sent.length, 0]
    const open: MachineScript['sent'][number][] = []
    const settled = script.outcomes.size
    while (script.outcomes.size < settled + 300) {
      if (calls < 300 && (open.length === 0 || random() < 0.4)) {
        callAnything(script, volume, random, extents)
        calls++
      } else answerOne(script, open, random)
      open.push(...script.sent.slice(seen).filter(({ message }) => 'extent' in message && 'request' in message))
      seen = script.sent.length
      if (random() < 0.2) script.now += 20
    }
    assert.equal(script.machine.isBusy, false)
  })
}
