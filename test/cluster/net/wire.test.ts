import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { longest } from '../../kit/deadline.ts'
import { run } from '../../kit/dev-cluster.ts'
import { Namespaces, requireNetworks, systemPath } from './namespaces.ts'
import { type Conditions, type Rule, Wire } from './wire.ts'

const PACKETS = 400
const PORT = 7000

const RECEIVER = `
import select, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', ${PORT}))
s.settimeout(1)
print('bound', flush=True)
numbers, least = [], 1e9
sending = True
while True:
    try:
        number, sent = s.recv(100).split()
        numbers.append(int(number))
        least = min(least, time.monotonic() - float(sent))
    except TimeoutError:
        if not sending: break
        sending = select.select([0], [], [], 0)[0] == []
print(least * 1000, *numbers, flush=True)
`
const SENDER = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(${PACKETS}):
    s.sendto(f'{number} {time.monotonic()}'.encode(), (sys.argv[1], ${PORT}))
    time.sleep(0.0005)
`

interface Arrived {
  readonly numbers: readonly number[]
  readonly leastDelayMs: number
}

/** Sends numbered packets from one namespace to another and returns what arrived, in that order. */
async function exchange(namespaces: Namespaces, wire: Wire, from: string, to: string): Promise<Arrived> {
  const env = { ...process.env, PATH: systemPath() }
  const inside = (place: string): string[] => ['netns', 'exec', namespaces.fullName(place), 'python3', '-c']
  const receiver = spawn('ip', [...inside(to), RECEIVER], { stdio: ['pipe', 'pipe', 'inherit'], env })
  const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, 'bound')
  const sent = await run('ip', [...inside(from), SENDER, wire.addressOf(to)], { env: { PATH: systemPath() } })
  assert.equal(sent.code, 0, sent.stderr)
  // The end of its standard input says that nothing more was sent: a second of silence is the end from then on.
  receiver.stdin.end()
  const [leastDelayMs = Number.NaN, ...numbers] = String((await lines.next()).value)
    .split(' ')
    .map(Number)
  return { numbers, leastDelayMs }
}

test('the wire cuts one direction, loses, doubles, reorders and delays as instructed, and is good again afterwards', {
  timeout: longest(120_000),
}, async (t) => {
  if (!requireNetworks(t)) return
  const namespaces = new Namespaces()
  let wire: Wire | undefined
  try {
    await namespaces.make(['home', 'a', 'b'])
    const fullName = (place: string): string => namespaces.fullName(place)
    const started = await Wire.start(fullName('home'), ['a', 'b'], fullName, 1)
    wire = started
    const under = async (conditions: Partial<Conditions>, from = 'a', to = 'b'): Promise<Arrived> => {
      const rules: Rule[] = [{ from: 'a', to: 'b', conditions }]
      const heal = await started.add(rules)
      const arrived = await exchange(namespaces, started, from, to)
      await heal()
      return arrived
    }
    const all = Array.from({ length: PACKETS }, (_, number) => number)
    assert.deepEqual((await under({ loss: 1 })).numbers, [])
    assert.deepEqual((await under({ loss: 1 }, 'b', 'a')).numbers, all, 'the other direction is not cut')
    const lossy = (await under({ loss: 0.5 })).numbers.length
    assert.ok(lossy > PACKETS * 0.3 && lossy < PACKETS * 0.7, `${lossy} of ${PACKETS} arrived`)
    const doubled = (await under({ duplicate: 0.5 })).numbers
    assert.ok(doubled.length > PACKETS * 1.3, `${doubled.length} arrived`)
    assert.deepEqual([...new Set(doubled)], all)
    const mixed = (await under({ reorder: 0.3 })).numbers
    assert.notDeepEqual(mixed, all)
    assert.deepEqual(
      mixed.toSorted((one, other) => one - other),
      all,
    )
    const late = await under({ delayMs: 100, jitterMs: 50 })
    assert.ok(late.leastDelayMs >= 100, `the fastest took ${late.leastDelayMs} ms`)
    assert.deepEqual(late.numbers, all, 'jitter alone does not reorder')
    assert.deepEqual((await exchange(namespaces, started, 'a', 'b')).numbers, all)
    // A packet in about 14 ms, far slower than they are sent, and ten of them wait.
    await started.setLines({ a: { bytesPerMs: 4, queueBytes: 600 } })
    const crowded = (await exchange(namespaces, started, 'a', 'b')).numbers
    const lost = (await started.counts()).crowded
    assert.equal(crowded.length + lost, PACKETS, 'what does not wait is lost')
    assert.ok(lost > 0, 'more waited than may')
    assert.deepEqual(
      crowded,
      crowded.toSorted((one, other) => one - other),
    )
    await started.setLines({ b: { bytesPerMs: 4, queueBytes: 600 } })
    assert.deepEqual((await exchange(namespaces, started, 'a', 'b')).numbers, all, 'the other way out is another line')
  } finally {
    await wire?.stop()
    namespaces.remove()
  }
})
