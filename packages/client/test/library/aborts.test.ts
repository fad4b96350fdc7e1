import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import type { AshlarError, Client, Volume } from '@ashlar/client'
import { type MemoryCluster, memoryCluster } from '@ashlar/client/testing'
import { LIMITS } from '@ashlar/proto'
import { pattern, waitFor } from '../kit/wait-for.ts'

const MIB = 1024 * 1024
/** What is left of the bound when each extent that works has its share: the rest is kept for first requests (amendment 30). */
const SHARED_MIB = (LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes) / MIB

interface Scene {
  readonly cluster: MemoryCluster
  readonly client: Client
  readonly volume: Volume
}

interface State {
  /** Brings the cluster, and other calls, into the state; resolves to what undoes it. */
  readonly given: (scene: Scene) => Promise<() => void>
  readonly call: (scene: Scene, signal: AbortSignal) => Promise<unknown>
  /** Resolves when the call is in its state. */
  readonly until?: (scene: Scene) => Promise<void>
  readonly indeterminate?: boolean
}

/** Requests of this kind that are held, so that the call waits for their answers. */
function held(request: Parameters<MemoryCluster['hold']>[0], waiting = 1): Pick<State, 'given'> {
  return {
    given: async ({ cluster }) => {
      const hold = cluster.hold(request)
      return () => {
        assert.ok(hold.waiting >= waiting, `${hold.waiting} requests are held`)
        hold.release()
      }
    },
  }
}

/** A write at the start of the volume waits for its answer. */
async function earlierWrite({ cluster, volume }: Scene): Promise<() => void> {
  const hold = cluster.hold('write')
  const earlier = volume.write(0, pattern(4096))
  return () => {
    hold.release()
    void earlier
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Two of three nodes are stopped: writes are told to wait. */
async function belowMinInSync({ cluster }: Scene): Promise<() => void> {
  cluster.stopNode('n1')
  cluster.stopNode('n2')
  return () => cluster.startNode('n1')
}

/** Every node is stopped: there is nobody to send anything to. */
async function nobody({ cluster }: Scene): Promise<() => void> {
  for (const node of cluster.nodes) cluster.stopNode(node)
  await turns()
  return () => {
    for (const node of cluster.nodes) cluster.startNode(node)
  }
}

const STATES: Readonly<Record<string, State>> = {
  'a write on its way': {
    ...held('write'),
    call: ({ volume }, signal) => volume.write(0, pattern(4096), { signal }),
    until: turns,
    indeterminate: true,
  },
  'a write that waits for an earlier one of its range': {
    given: earlierWrite,
    call: ({ volume }, signal) => volume.write(100, pattern(10), { signal }),
    until: turns,
    indeterminate: false,
  },
  'a write that waits for room': {
    given: async ({ cluster, volume }) => {
      const hold = cluster.hold('write')
      const others = Array.from({ length: 100 }, (_, i) => volume.write((i + 1) * 2 * MIB, pattern(MIB)))
      await waitFor('what extents share is on its way', () => hold.waiting >= SHARED_MIB)
      return () => {
        hold.release()
        void others
      }
    },
    call: ({ volume }, signal) => volume.write(0, pattern(4096), { signal }),
    until: turns,
    indeterminate: false,
  },
  'a write that gets WAIT for too few replicas': {
    given: belowMinInSync,
    call: ({ volume }, signal) => volume.write(0, pattern(4096), { signal }),
    until: turns,
    indeterminate: true,
  },
  'a write without a node to send it to': {
    given: nobody,
    call: ({ volume }, signal) => volume.write(0, pattern(4096), { signal }),
    until: turns,
    indeterminate: false,
  },
  'a trim on its way': {
    ...held('discard'),
    call: ({ volume }, signal) => volume.trim(0, 8192, { signal }),
    until: turns,
    indeterminate: true,
  },
  'zeroing on its way': {
    ...held('discard'),
    call: ({ volume }, signal) => volume.writeZeroes(0, 8192, { signal, noHole: true }),
    until: turns,
    indeterminate: true,
  },
  'a read on its way': {
    ...held('read'),
    call: ({ volume }, signal) => volume.read(0, 4096, { signal }),
    until: turns,
  },
  'a read without a node to send it to': {
    given: nobody,
    call: ({ volume }, signal) => volume.readInto(0, new Uint8Array(4096), { signal }),
    until: turns,
  },
  'a flush that waits for a write': {
    given: earlierWrite,
    call: ({ volume }, signal) => volume.flush({ signal }),
  },
  'an open on its way': {
    ...held('open'),
    call: ({ client }, signal) => client.openVolume('other', { signal }),
    until: turns,
  },
  'an open without a node to ask': {
    given: nobody,
    call: ({ client }, signal) => client.openVolume('other', { signal }),
  },
  'a read-only open without a node to ask': {
    given: nobody,
    call: ({ client }, signal) => client.openVolume('unknown', { mode: 'read-only', signal }),
  },
  'a create on its way': {
    ...held('create'),
    call: ({ client }, signal) => client.admin.create({ name: 'new', sizeBytes: 8192, signal }),
    until: turns,
  },
  'a remove on its way': {
    ...held('remove'),
    call: ({ client }, signal) => client.admin.remove('other', { signal }),
    until: turns,
  },
  'a list without a node to ask': { given: nobody, call: ({ client }, signal) => client.admin.list({ signal }) },
  'a description without a node to ask': {
    given: nobody,
    call: ({ client }, signal) => client.admin.describe('demo', { signal }),
  },
  'a connect without a node that responds': {
    given: async (scene) => {
      const back = await nobody(scene)
      return back
    },
    call: ({ cluster }, signal) => cluster.connect({ signal }),
  },
}

describe('an abort ends at once, leaves nothing, and the rest goes on:', () => {
  for (const [name, { given, call, until, indeterminate }] of Object.entries(STATES)) {
    test(name, async () => {
      await using cluster = await memoryCluster({
        volumes: [
          { name: 'demo', sizeBytes: 256 * MIB, extentSizeBytes: 16 * MIB },
          { name: 'other', sizeBytes: 8192 },
        ],
      })
      const client = await cluster.connect()
      const volume = await client.openVolume('demo')
      const scene = { cluster, client, volume }
      const undo = await given(scene)
      const stop = new AbortController()
      const outcome = call(scene, stop.signal).then(
        () => assert.fail('it was not aborted'),
        (error: AshlarError) => error,
      )
      await until?.(scene)
      let ended = false
      void outcome.then(() => {
        ended = true
      })
      const reason = new Error('enough')
      stop.abort(reason)
      await new Promise((resolve) => setImmediate(resolve))
      assert.ok(ended, 'before anybody could have answered')
      const error = await outcome
      assert.deepEqual([error.code, error.retry, error.cause], ['ABORTED', 'never', reason])
      if (indeterminate !== undefined) assert.equal(error.details['indeterminate'], indeterminate)
      assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
      undo()
      await volume.write(0, pattern(4096, 7))
      assert.deepEqual(await volume.read(0, 4096), pattern(4096, 7))
      await volume.close()
      // An open that was given up holds nothing: the volume is free.
      await using other = await client.openVolume('other', { ifFree: true }).catch(async (refused: AshlarError) => {
        assert.equal([refused.code, name].join(), 'NOT_FOUND,a remove on its way')
        return await client.openVolume('demo', { ifFree: true })
      })
      assert.ok(other.sizeBytes > 0)
    })
  }

  test('a signal that was aborted before the call sends nothing and leaves no listener', async () => {
    await using cluster = await memoryCluster({ volumes: [{ name: 'demo', sizeBytes: 8192 }] })
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const hold = cluster.hold('write')
    const signal = AbortSignal.abort(new Error('before'))
    await assert.rejects(volume.write(0, pattern(10), { signal }), { code: 'ABORTED', cause: new Error('before') })
    await turns()
    assert.deepEqual([hold.waiting, getEventListeners(signal, 'abort').length], [0, 0])
  })

  test('each call removes its listener from a shared signal when it is settled', async () => {
    await using cluster = await memoryCluster({ volumes: [{ name: 'demo', sizeBytes: 8192 }] })
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const { signal } = new AbortController()
    for (let round = 0; round < 50; round++) await volume.write(0, pattern(10), { signal })
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
})
