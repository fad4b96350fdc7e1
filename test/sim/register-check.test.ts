import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkOwnOrder, type OwnedOperation } from '../kit/history/own-order.ts'
import { History } from '../kit/history/recorder.ts'
import { checkRegister, type RegisterOperation, ZERO } from '../kit/history/register-check.ts'
import { Chance } from './world/chance.ts'

const NEVER = Number.POSITIVE_INFINITY

function write(value: number, invoked: number, returned: number): RegisterOperation {
  return { kind: 'write', value, invoked, returned }
}
function read(value: number, invoked: number, returned: number): RegisterOperation {
  return { kind: 'read', value, invoked, returned }
}

describe('the zone check accepts what a register can do', () => {
  const good: Record<string, RegisterOperation[]> = {
    'nothing at all': [],
    'zeroes before any write': [read(ZERO, 0, 1), write(1, 2, 3), read(1, 4, 5)],
    'a read during a write, old value': [write(1, 0, 1), write(2, 2, 6), read(1, 3, 4)],
    'a read during a write, new value': [write(1, 0, 1), write(2, 2, 6), read(2, 3, 4), read(2, 4, 5)],
    'overlapping writes in either order': [write(1, 0, 5), write(2, 0, 5), read(1, 6, 7), read(1, 8, 9)],
    'a write without an answer that took effect late': [
      write(1, 0, 1),
      write(2, 2, NEVER),
      read(1, 5, 6),
      read(2, 9, 10),
    ],
    'a write without an answer that no read returned': [write(1, 0, 1), write(2, 2, NEVER), read(1, 5, 6)],
    'a discard, then zeroes': [write(1, 0, 1), write(ZERO, 2, 3), read(ZERO, 4, 5), write(2, 6, 7), read(2, 8, 9)],
    'a discard without an answer': [write(1, 0, 1), write(ZERO, 2, NEVER), read(1, 3, 4), read(ZERO, 5, 6)],
    'zeroes that two erasures can explain': [write(ZERO, 0, 9), write(ZERO, 0, 9), write(1, 0, 9), read(ZERO, 10, 11)],
  }
  for (const [name, history] of Object.entries(good)) {
    it(name, () => assert.equal(checkRegister(history), undefined))
  }
})

describe('the zone check refuses what no register does', () => {
  const bad: Record<string, { history: RegisterOperation[]; kind: string }> = {
    'a value that was never written': { history: [read(7, 0, 1)], kind: 'unwritten' },
    'a read before the write began': { history: [read(1, 0, 1), write(1, 2, 3)], kind: 'future' },
    'a lost write': { history: [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)], kind: 'stale' },
    'a value that comes back': {
      history: [write(1, 0, 1), write(2, 0, 9), read(1, 2, 3), read(2, 4, 5), read(1, 6, 7)],
      kind: 'stale',
    },
    'two values that alternate': {
      history: [write(1, 0, 1), write(2, 0, 1), read(1, 2, 3), read(2, 4, 5), read(1, 6, 7), read(2, 8, 9)],
      kind: 'overlap',
    },
    'an uncommitted value that vanishes again': {
      history: [write(1, 0, 1), write(2, 2, NEVER), read(2, 3, 4), read(1, 5, 6)],
      kind: 'stale',
    },
    'a lost discard': { history: [write(1, 0, 1), write(ZERO, 2, 3), read(1, 4, 5)], kind: 'stale' },
    'zeroes after an acknowledged write': { history: [write(1, 0, 1), read(ZERO, 2, 3)], kind: 'stale' },
    'zeroes of a discard that was overwritten': {
      history: [write(1, 0, 1), write(ZERO, 2, 3), write(2, 4, 5), read(ZERO, 6, 7)],
      kind: 'stale',
    },
  }
  for (const [name, { history, kind }] of Object.entries(bad)) {
    it(name, () => assert.equal(checkRegister(history)?.kind, kind))
  }

  it('and a value that is written twice is an error of the test itself', () => {
    assert.throws(() => checkRegister([write(1, 0, 1), write(1, 2, 3)]), /written twice/)
  })
})

describe('the zone check agrees with trying every order', () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`on 500 small random histories of seed ${seed}`, () => {
      const chance = new Chance(seed)
      let refused = 0
      for (let round = 0; round < 500; round++) {
        const history = randomHistory(chance)
        const expected = linearizable(history, ZERO)
        if (!expected) refused++
        assert.equal(checkRegister(history) === undefined, expected, JSON.stringify(history))
      }
      assert.ok(refused > 50 && refused < 450, `${refused} of 500 were refused: the histories are one-sided`)
    })
  }
})

/** Up to 6 operations with unique values: the only zeroes are those before the first write. */
function randomHistory(chance: Chance): RegisterOperation[] {
  const history: RegisterOperation[] = []
  const writes = chance.integer(1, 3)
  for (let value = 1; value <= writes; value++) {
    const invoked = chance.integer(0, 12)
    history.push(write(value, invoked, chance.happens(0.2) ? NEVER : invoked + chance.integer(1, 6)))
  }
  const reads = chance.integer(1, 3)
  for (let index = 0; index < reads; index++) {
    const invoked = chance.integer(0, 14)
    history.push(read(chance.integer(0, writes), invoked, invoked + chance.integer(1, 4)))
  }
  return history
}

/** The slow and obvious way: some operation that nothing precedes goes first, and the rest follows. */
function linearizable(left: readonly RegisterOperation[], held: number): boolean {
  if (left.every(({ kind, returned }) => kind === 'write' && returned === NEVER)) return true
  return left.some((operation) => {
    if (left.some((other) => other !== operation && other.returned < operation.invoked)) return false
    const rest = left.filter((other) => other !== operation)
    if (operation.kind === 'write') return linearizable(rest, operation.value)
    return operation.value === held && linearizable(rest, held)
  })
}

describe('the recorder of histories', () => {
  it('reports a read of a write that was promised never to take effect', () => {
    let now = 0
    const history = new History(() => ++now)
    history.beginWrite([3], 41)('never')
    history.beginRead([3])([41])
    assert.deepEqual(
      history.check().map(({ register }) => register),
      [3],
    )
  })

  it('keeps the registers of one call apart', () => {
    let now = 0
    const history = new History(() => ++now)
    history.beginWrite([0, 1], 5)('done')
    history.beginRead([0, 1])([5, 0])
    assert.deepEqual(
      history.check().map(({ register }) => register),
      [1],
    )
  })

  it('ignores reads that failed and takes writes without an answer as open', () => {
    let now = 0
    const history = new History(() => ++now)
    history.beginWrite([0], 5)('unknown')
    history.beginRead([0])(undefined)
    history.beginRead([0])([5])
    assert.deepEqual(history.check(), [])
    assert.equal(history.done, 1)
  })
})

describe('the order of the writes of one writer', () => {
  const writer = {}
  const own = (value: number, invoked: number, returned: number, by: object = writer): OwnedOperation => ({
    ...write(value, invoked, returned),
    writer: by,
  })

  it('holds where the later one is answered: the earlier one is not read from then on, however it ended', () => {
    assert.equal(checkRegister([own(1, 0, NEVER), own(2, 5, 6), read(1, 7, 8)]), undefined, 'linearizable all the same')
    for (const ended of [NEVER, 7]) {
      const history = [own(1, 0, ended), own(2, 5, 6), read(1, 7, 8)]
      assert.match(checkOwnOrder(history) ?? '', /1 was read from 7 on, though the write of 2 .* was there at 6/)
    }
  })

  it('holds where the later one was read, or was a discard', () => {
    assert.ok(checkOwnOrder([own(1, 0, NEVER), own(2, 1, NEVER), read(2, 3, 4), read(1, 5, 6)]) !== undefined)
    assert.ok(checkOwnOrder([own(1, 0, NEVER), own(ZERO, 1, 2), read(1, 3, 4)]) !== undefined)
    assert.ok(checkOwnOrder([own(1, 0, NEVER), own(2, 1, NEVER), own(3, 2, 9), read(1, 9, 10)]) !== undefined)
  })

  it('says nothing of reads that began before, of other writers, or of what is not there', () => {
    assert.equal(checkOwnOrder([own(1, 0, NEVER), own(2, 1, 5), read(1, 4, 6)]), undefined)
    assert.equal(checkOwnOrder([own(1, 0, NEVER), own(2, 1, 2, {}), read(1, 3, 4)]), undefined)
    assert.equal(checkOwnOrder([own(1, 0, NEVER), own(2, 1, NEVER), read(1, 3, 4)]), undefined)
    assert.equal(checkOwnOrder([own(1, 0, NEVER), own(2, 1, 2), read(2, 3, 4)]), undefined)
  })
})
