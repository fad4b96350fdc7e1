import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type BlockIndex,
  type Epoch,
  type ExtentId,
  extentId,
  LIMITS,
  type Message,
  MIB,
  type Seq,
  type SessionId,
  type VolumeId,
  type Voter,
  WIRE_VERSION,
} from '@ashlar/proto'
import { encodeFrame } from '@ashlar/proto/codec'
import { Releases } from '../../src/core/agent/releases.ts'
import { SetRequests } from '../../src/core/agent/set-requests.ts'
import type { Members } from '../../src/core/control/index.ts'
import { changedMembers } from '../../src/core/raft/members.ts'
import { DedupeWindows } from '../../src/core/replication/dedupe.ts'
import { address, Reducer, store } from './control/kit.ts'

/** A list on the wire, driven by what feeds it until that gives no more. Gives how long it became, in a message that has it. */
interface List {
  readonly limit: number
  drive(): { readonly length: number; readonly message: Message }
}

const STREAM = { extent: extentId(1 as VolumeId, 0), epoch: 1 as Epoch, gen: 1 }
const HUGE = 2 ** 43

function mapOf(reducer: Reducer): Message {
  return { type: 'map-update', delta: reducer.state.deltaSince(0) }
}

function raised(stores: number): Reducer {
  const reducer = new Reducer().bootstrapped(stores)
  reducer.apply({ do: 'raise-feature-level', level: 1 })
  return reducer
}

/** Applies until control refuses. */
function fill(apply: (at: number) => { readonly code: string }): void {
  for (let at = 0; apply(at).code === 'OK'; at++) assert.ok(at < 200_000, 'control refuses nothing')
}

function share(reducer: Reducer, name: string, session: number): { readonly code: string } {
  const holder = { session: session as SessionId, mode: 'shared', client: 'c'.repeat(255) } as const
  return reducer.apply({ do: 'attach', name, holder, ifFree: false })
}

function members(change: (stores: Members, at: number) => Members | string): Members {
  let now: Members = { voters: [voter(0)], learners: [] }
  for (let at = 1; ; at++) {
    const next = change(now, at)
    if (typeof next === 'string') return now
    now = next
  }
}

function voter(n: number): Voter {
  return { store: store(n), address: address(n) }
}

/** What a machine sends, of one kind. */
function sent<Type extends Message['type']>(type: Type, act: (emit: (effect: { message?: Message }) => void) => void) {
  const messages: Extract<Message, { type: Type }>[] = []
  act(({ message }) => {
    if (message?.type === type) messages.push(message as Extract<Message, { type: Type }>)
  })
  return messages
}

const ALL_EXTENTS = Array.from({ length: LIMITS.mapExtents }, (_, at) => (HUGE + at) as ExtentId)
const STORES = [1, 2, 3, 4, 5].map(store)
const SENDER = { store: store(1), counter: 1 }

function entryOf(command: object): Message {
  const entries = [{ index: 1, term: 1, command }]
  const round = { term: 1, from: store(1), to: store(2), prevIndex: 0, prevTerm: 0, commit: 0, round: 1 }
  return { type: 'append-entries', ...round, entries } as unknown as Message
}

function driveWindows(): { length: number; message: Message } {
  const windows = new DedupeWindows()
  for (let session = 1; session <= LIMITS.sessionWindows; session++)
    for (let op = 1; op <= LIMITS.sessionOps; op++)
      windows.record({
        ...{ session: (HUGE + session) as SessionId, op, lowMark: 1, generation: HUGE, seq: (HUGE + op) as Seq },
        ...{ cancel: true, first: 0 as BlockIndex, count: 0 },
      })
  const last = { lastEpoch: 1 as Epoch, lastSeq: 1 as Seq, commitSeq: 1 as Seq }
  return { length: windows.size, message: { type: 'mark', ...STREAM, ...last, windows: windows.snapshot() } }
}

function driveReleases(): { length: number; message: Message } {
  const releases = new Releases()
  releases.add(
    ALL_EXTENTS.map((extent) => ({ extent, epoch: HUGE as Epoch })),
    'slow',
  )
  const map = { extents: new Map(ALL_EXTENTS.map((extent) => [extent, { revision: HUGE }])) } as never
  const [message] = sent('release', (emit) => releases.drive({ now: 0, emit } as never, 1, SENDER, map))
  assert.ok(message !== undefined)
  encodeFrame([message], WIRE_VERSION)
  const extents = message.extents.map((extent) => ({ ...extent, avoid: STORES }))
  const live = Array.from({ length: LIMITS.nodes }, (_, n) => store(n))
  return {
    length: message.extents.length,
    message: entryOf({ do: 'release', ...SENDER, extents, reason: 'slow', live }),
  }
}

function driveSets(): { length: number; message: Message } {
  const sets = new SetRequests()
  for (const extent of ALL_EXTENTS) sets.add({ extent, revision: HUGE, epoch: HUGE as Epoch, inSync: STORES })
  const messages = sent('change-sets', (emit) => sets.drive({ now: 0, emit } as never, 1, SENDER))
  const length = Math.max(...messages.map(({ changes }) => changes.length))
  const { changes = [] } = messages[0] ?? {}
  return { length, message: entryOf({ do: 'change-sets', ...SENDER, changes }) }
}

const LISTS: Readonly<Record<string, List>> = {
  'nodes of a map': {
    limit: LIMITS.nodes,
    drive() {
      const reducer = new Reducer().bootstrapped(1)
      fill((at) => reducer.register(at + 2))
      return { length: reducer.state.nodes.size, message: mapOf(reducer) }
    },
  },
  'stores that left it': {
    limit: 2 * LIMITS.nodes,
    drive() {
      const reducer = new Reducer().bootstrapped(1)
      // Each takes the address of the one before, which nothing names any more.
      for (let n = 2; n < 3 * LIMITS.nodes; n++) {
        reducer.register(n, { name: 'n2', address: address(2) })
        reducer.expire([n - 1], [1, n])
      }
      return { length: reducer.state.removedNodes.size, message: mapOf(reducer) }
    },
  },
  'holders of a volume': {
    limit: LIMITS.holders,
    drive() {
      const reducer = raised(1)
      reducer.create({ replicas: 1 })
      fill((at) => share(reducer, 'v1', at + 1))
      return { length: reducer.state.volumeNamed('v1')?.holders.length ?? 0, message: mapOf(reducer) }
    },
  },
  'holders of all volumes': {
    limit: LIMITS.volumes + LIMITS.mapHolders,
    drive() {
      const reducer = raised(1)
      fill((at) => reducer.create({ name: `v${at}`, replicas: 1 }))
      for (let at = 0; at < LIMITS.volumes; at++)
        for (const session of [1, 2]) share(reducer, `v${at}`, 2 * at + session)
      const length = [...reducer.state.volumes.values()].reduce((sum, { holders }) => sum + holders.length, 0)
      return { length, message: mapOf(reducer) }
    },
  },
  'ranges of tombstones': {
    limit: 2 * LIMITS.volumes,
    drive() {
      const reducer = raised(1)
      // Every second volume goes, so that each range is of one, until as many live as may.
      fill((at) => {
        if (at % 2 === 1 && at > 1) reducer.apply({ do: 'remove-volume', name: `v${at - 1}` })
        return reducer.create({ name: `v${at}`, replicas: 1 })
      })
      return { length: reducer.state.removedVolumes.ranges.length, message: mapOf(reducer) }
    },
  },
  'voters of control': {
    limit: LIMITS.voters,
    drive() {
      const { voters } = members((now, at) => {
        const learner = changedMembers(now, { do: 'add-learner', member: voter(at) })
        return typeof learner === 'string' ? learner : changedMembers(learner, { do: 'promote', store: store(at) })
      })
      const delta = { ...new Reducer().bootstrapped(1).state.deltaSince(0), voters }
      return { length: voters.length, message: { type: 'map-update', delta } }
    },
  },
  'learners of control': {
    limit: LIMITS.nodes,
    drive() {
      const { voters, learners } = members((now, at) => changedMembers(now, { do: 'add-learner', member: voter(at) }))
      return { length: learners.length, message: entryOf({ do: 'set-members', voters, learners }) }
    },
  },
  'windows of an extent, each full': { limit: LIMITS.sessionWindows, drive: driveWindows },
  'extents of a release, in the log': { limit: LIMITS.releaseExtents, drive: driveReleases },
  'changes of sets, in the log': { limit: LIMITS.mapExtents, drive: driveSets },
  'damaged blocks of a replica': {
    limit: LIMITS.maxExtentBytes / LIMITS.minBlockBytes,
    drive() {
      const length = LIMITS.maxExtentBytes / LIMITS.minBlockBytes
      const damaged = Array.from({ length }, (_, block) => block as BlockIndex)
      const last = { lastEpoch: 1 as Epoch, lastSeq: 1 as Seq, commitSeq: 1 as Seq, digest: new Uint8Array(16) }
      return { length, message: { type: 'opened', ...STREAM, ...last, damaged } }
    },
  },
  'leaves of an extent': {
    limit: LIMITS.maxExtentBytes / LIMITS.minBlockBytes / LIMITS.leafBlocks,
    drive() {
      const length = LIMITS.maxExtentBytes / LIMITS.minBlockBytes / LIMITS.leafBlocks
      return { length, message: { type: 'digests', ...STREAM, leaves: new Uint8Array(16 * length) } }
    },
  },
}

describe('a list on the wire is never longer than its limit, whatever feeds it (amendment 32)', () => {
  for (const [name, list] of Object.entries(LISTS)) {
    it(name, () => {
      const { length, message } = list.drive()
      assert.ok(length > 1 && length <= list.limit, `${length} of ${list.limit}`)
      const frame = encodeFrame([message], WIRE_VERSION)
      assert.ok(frame.length <= 10 * MIB, `${frame.length} bytes`)
    })
  }
})
