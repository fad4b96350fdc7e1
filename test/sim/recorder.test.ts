import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Effect, Input } from '@ashlar/node/core'
import { Recorder } from './checkers/recorder.ts'
import { differences, hashesText, readHashes } from './long/hashes.ts'

type Event = { readonly who: string; readonly input: object } | { readonly who: string; readonly effect: object }

const EVENTS: readonly Event[] = [
  { who: 'n1', input: { type: 'link-up', link: 1, direction: 'in', peer: { kind: 'client', name: 'c1', wire: 3 } } },
  { who: 'n1', input: { type: 'received', link: 1, message: { type: 'lock', request: 7, volume: 'v1' } } },
  { who: 'n1', effect: { type: 'commit', token: 4, change: { extent: 'v1/0', blocks: [], head: { lastEpoch: 2 } } } },
  { who: 'n2', effect: { type: 'send', link: 1, message: { type: 'unlock', request: 7, last: true, seq: 2 ** 40 } } },
  { who: 'n2', input: { type: 'unlock', token: 4 } },
  { who: 'n2', effect: { type: 'send', link: 2, message: { type: 'lock', bytes: new Uint8Array(8), rows: [3, 1] } } },
]

function hash(events: readonly Event[]): string {
  const recorder = new Recorder({ now: 5 } as ConstructorParameters<typeof Recorder>[0], undefined)
  for (const event of events)
    if ('input' in event) recorder.nodeInput(event.who, event.input as Input)
    else recorder.nodeEffect(event.who, event.effect as Effect)
  return recorder.hash()
}

/** The events with another name wherever one stood: as a host, a type, a field or a text. */
function renamed(from: string, to: string): Event[] {
  return mapped((part) => {
    if (part === from) return to
    if (typeof part !== 'object' || part === null || !(from in part)) return part
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name === from ? to : name, value]))
  })
}

/** The events with what `change` makes of every part of theirs. */
function mapped(change: (part: unknown) => unknown): Event[] {
  const walk = (part: unknown): unknown => {
    const now = change(part)
    if (now instanceof Uint8Array || typeof now !== 'object' || now === null) return now
    if (Array.isArray(now)) return now.map(walk)
    return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, walk(value)]))
  }
  return EVENTS.map((event) => walk(event) as Event)
}

describe("the recorder's hash", () => {
  it('stays when a host, a type, a text or a field gets another name', () => {
    for (const name of ['n1', 'commit', 'link-up', 'unlock', 'v1/0', 'lastEpoch', 'request', 'rows', 'head']) {
      const other = renamed(name, 'renamed')
      assert.notDeepEqual(other, EVENTS, name)
      assert.equal(hash(other), hash(EVENTS), name)
    }
  })

  it('stays when only one of two types of the same name is renamed', () => {
    const other = EVENTS.map((event) =>
      'input' in event && 'token' in event.input ? { ...event, input: { ...event.input, type: 'closed' } } : event,
    )
    assert.notDeepEqual(other, EVENTS)
    assert.equal(hash(other), hash(EVENTS))
  })

  it('stays when fields are written in another order, and when one that is undefined is left out', () => {
    const turned = mapped((part) =>
      typeof part === 'object' && part !== null && !Array.isArray(part) && !(part instanceof Uint8Array)
        ? Object.fromEntries([...Object.entries(part), ['absent', undefined]].reverse())
        : part,
    )
    assert.equal(hash(turned), hash(EVENTS))
  })

  it('changes with every number, truth value, length of bytes, row and event', () => {
    const changes: readonly (readonly [unknown, unknown])[] = [
      [7, 8],
      [2, 0],
      [2 ** 40, 2 ** 41],
      [2 ** 40, 2 ** 40 + 1],
      [true, false],
      [EVENTS[2], { ...EVENTS[2], who: 'n2' }],
    ]
    const others = changes.map(([from, to]) =>
      from === EVENTS[2] ? replaced(2, to) : mapped((it) => (it === from ? to : it)),
    )
    others.push(
      mapped((part) => (part instanceof Uint8Array ? new Uint8Array(9) : part)),
      mapped((part) => (Array.isArray(part) ? [...part].reverse() : part)),
      mapped((part) => (Array.isArray(part) ? [...part, 0] : part)),
      EVENTS.slice(0, -1),
      [...EVENTS, ...EVENTS.slice(-1)],
      EVENTS.toReversed(),
    )
    const hashes = [EVENTS, ...others].map(hash)
    assert.equal(new Set(hashes).size, hashes.length, hashes.join(' '))
  })

  it('changes when two names become one', () => {
    assert.notEqual(hash(renamed('unlock', 'lock')), hash(EVENTS))
  })
})

function replaced(index: number, event: unknown): Event[] {
  return EVENTS.map((each, at) => (at === index ? (event as Event) : each))
}

describe('a file of hashes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ashlar-hashes-'))
  after(() => rmSync(folder, { recursive: true }))
  const one = '0123456789abcdef'
  const other = 'fedcba9876543210'

  it('is read as it was written, and names the seeds that differ', () => {
    const file = join(folder, 'hashes')
    const hashes = new Map([
      [1, one],
      [2, other],
    ])
    writeFileSync(file, hashesText(hashes))
    assert.deepEqual(readHashes(file), hashes)
    assert.deepEqual(differences(hashes, hashes), [])
    const later = new Map([
      [1, one],
      [2, one],
      [3, one],
    ])
    assert.deepEqual(differences(hashes, later), [`seed 2 was ${other}, is ${one}`, `seed 3 was not run, is ${one}`])
  })

  it('is refused when it holds something else', () => {
    const file = join(folder, 'other')
    writeFileSync(file, '{}\n')
    assert.throws(() => readHashes(file), /not a line of hashes: \{\}/)
    assert.throws(() => readHashes(join(folder, 'absent')), /no such file/)
  })
})
