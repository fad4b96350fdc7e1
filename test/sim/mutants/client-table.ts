import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what clients are answered: reads that prove too little, ranges that are given back too early. */
export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'read-joins-a-round',
    rule: 'Amendment 8',
    wrong: 'A read without a lease joins a round of confirmations that is on its way already.',
    edits: [
      {
        file: `${REPLICATION}/confirmations.ts`,
        find: 'this.gathered.push(then)',
        replace:
          'if (this.round !== undefined) return void this.round.waiting.push(then)\n    this.gathered.push(then)',
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
        file: 'packages/node/src/node-clock.ts',
        find: 'return Math.abs(aheadMs - this.#wallAheadMs) > GLANCE_MS ? this.look() : 0',
        replace: 'return aheadMs * 0',
      },
    ],
    schedule: 'suspended-machine',
  },
  {
    name: 'range-given-back-early',
    rule: 'A3-25',
    wrong: 'A call that times out gives its range back although its CANCEL is not answered.',
    edits: [
      {
        file: 'packages/client/src/core/io.ts',
        find: 'this.dispatcher.withdraw(ctx, request)',
        replace: `this.dispatcher.withdraw(ctx, request)
      const early = request as { claim: typeof request.claim }
      if (early.claim !== undefined)
        for (const granted of call.volume.locks.release(early.claim)) this.dispatcher.send(ctx, granted.owner)
      early.claim = undefined`,
      },
    ],
    schedule: 'late-write',
  },
]
