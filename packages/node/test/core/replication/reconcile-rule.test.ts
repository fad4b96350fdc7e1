import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_DATA, type BlockVersion, type Epoch, type Seq, type SessionId, type SessionWindow } from '@ashlar/proto'
import { byVersion, type Copy, reconcileWindows } from '../../../src/core/replication/reconcile-rule.ts'

const version = (epoch: number, seq: number): BlockVersion => ({
  epoch: epoch as Epoch,
  seq: seq as Seq,
  kind: BLOCK_DATA,
  checksum: 0,
})
const copy = (holder: string, epoch: number, seq: number, damaged = false): Copy<string> => ({
  holder,
  version: version(epoch, seq),
  damaged,
})

test('amendment 11: the highest version comes first, by epoch before seq; of one version the first holder', () => {
  const copies = [copy('a', 1, 9), copy('b', 2, 3), copy('c', 2, 4), copy('d', 2, 4)]
  assert.deepEqual(
    byVersion(copies).map(({ holder }) => holder),
    ['c', 'd', 'b', 'a'],
  )
})

test('amendment 11: a damaged copy does not count', () => {
  const copies = [copy('a', 3, 1, true), copy('b', 2, 1), copy('c', 3, 1)]
  assert.deepEqual(
    byVersion(copies).map(({ holder }) => holder),
    ['c', 'b'],
  )
  assert.deepEqual(byVersion([copy('a', 3, 1, true)]), [])
})

const window = (
  more: Partial<Record<'generation' | 'lowMark', number>>,
  applied: [number, number][],
  cancelled: number[] = [],
) => ({ session: 7 as SessionId, generation: 1, lowMark: 1, ...more, applied, cancelled }) as unknown as SessionWindow

test('amendment 13: an operation that any store remembers is kept, unless it needs no response any more', () => {
  const merged = reconcileWindows([
    window({ lowMark: 3 }, [
      [3, 30],
      [5, 50],
    ]),
    window({ generation: 2 }, [
      [1, 10],
      [4, 40],
    ]),
    { ...window({}, [[9, 90]]), session: 8 as SessionId },
  ])
  assert.deepEqual(merged, [
    window({ generation: 2, lowMark: 3 }, [
      [3, 30],
      [4, 40],
      [5, 50],
    ]),
    { ...window({}, [[9, 90]]), session: 8 as SessionId },
  ])
})

test('amendment 13: where one store applied an operation that another cancelled the later of the two counts', () => {
  const applied = (seq: number) => window({}, [[4, seq]])
  const cancelled = (seq: number) => window({}, [[4, seq]], [4])
  assert.deepEqual(reconcileWindows([applied(40), cancelled(41)]), [cancelled(41)])
  assert.deepEqual(reconcileWindows([cancelled(41), applied(40)]), [cancelled(41)])
  assert.deepEqual(reconcileWindows([cancelled(40), applied(41)]), [applied(41)])
})
