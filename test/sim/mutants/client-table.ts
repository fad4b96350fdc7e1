import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what clients are answered: reads that prove too little, ranges that are given back too early. */
export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'read-joins-a-round',
    rule: 'Amendment 8',
    wrong: 'A read without a lease joins a round of confirmations that is in flight already.',
    edits: [
      {
        room: REPLICATION,
        in: 'Confirmations.confirm',
        find: 'this.gathered.push(then)',
        replace: `if (this.round !== undefined) return void this.round.waiting.push(then)
this.gathered.push(then)`,
      },
    ],
    searched: true,
  },
  {
    name: 'slept-until-the-tick',
    rule: 'A2.3',
    wrong: 'What a suspended machine slept is looked at at the next tick, after what waited was answered.',
    edits: [
      {
        room: 'packages/node/src',
        in: 'NodeClock.quickCheck',
        find: 'Math.abs(aheadMs - this.wallAheadMs) > QUICK_CHECK_MS ? this.check() : 0',
        replace: 'aheadMs * 0',
      },
    ],
    schedule: 'suspended-machine',
  },
  {
    name: 'range-released-early',
    rule: 'A3-25',
    wrong: 'A call that times out gives its range back although its CANCEL is not answered.',
    edits: [
      {
        room: 'packages/client/src/core',
        in: 'Io.#settleUnresolved(ctx, call)',
        find: 'this.dispatcher.withdraw(ctx, request)',
        replace: `this.dispatcher.withdraw(ctx, request)
const early = request
if (early.claim !== undefined)
  for (const granted of call.volume.locks.release(early.claim)) this.dispatcher.send(ctx, granted.owner)
early.claim = undefined`,
      },
    ],
    schedule: 'late-write',
  },
  {
    name: 'one-low-mark-for-all-extents',
    rule: 'Amendment 30',
    wrong: 'Operation numbers and the low mark are of the session, not of the session on one extent.',
    edits: [
      {
        room: 'packages/client/src/core',
        in: 'Session.#extents',
        body: `new (class extends Map {
  get = () => super.get(0)
  set = (_, numbers) => super.set(0, numbers)
  delete = () => super.delete(0)
})()`,
      },
    ],
    schedule: 'dead-extent',
  },
  {
    name: 'one-queue-for-all-extents',
    rule: 'Amendment 30',
    wrong: 'Calls of a volume wait in one queue, behind one whose extent has no budget.',
    edits: [
      {
        room: 'packages/client/src/core',
        in: 'positionOf({ offset, cursor, volume })',
        body: 'return 0 * (offset + cursor + volume.record.extentSizeBytes)',
      },
    ],
    schedule: 'dead-extent',
  },
  {
    name: 'reads-share-nothing',
    rule: 'Amendment 30',
    wrong: 'Reads of one extent may take all of what a client has in flight, the first of others included.',
    edits: [
      {
        room: 'packages/client/src/core',
        in: 'InFlight.readsBound',
        find: 'reads === 0 ? Number.POSITIVE_INFINITY : LIMITS.primaryReads - reads - 1',
        replace: 'LIMITS.primaryReads - 1 + 0 * reads',
      },
    ],
    schedule: 'dead-extent',
  },
]
