import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of reads that are answered without a lease. */
export const READ_MUTANTS: readonly Mutant[] = [
  {
    name: 'read-without-confirmation',
    rule: 'Amendment 8',
    wrong: 'A primary without a lease answers a read without confirmations.',
    edits: [
      {
        room: REPLICATION,
        in: 'Reads.onLoaded',
        find: 'if (!unleased) return this.reply(ctx, read, blocks)',
        replace: 'return this.reply(ctx, read, blocks)',
      },
    ],
    schedule: 'reads-beside-a-majority',
  },
  {
    name: 'confirmed-by-a-majority',
    rule: 'Amendment 8',
    wrong: 'A read without a lease is answered when most of the ackSet confirms.',
    edits: [
      {
        room: REPLICATION,
        in: 'Confirmations.begin',
        find: 'asked.size === 0 || asked.size < this.others().length',
        replace: 'asked.size === 0',
      },
      {
        room: REPLICATION,
        in: 'Confirmations.onConfirmed',
        find: 'this.others().every((other) => round.confirmed.has(other))',
        replace: '2 * (round.confirmed.size + 1) > this.others().length + 1',
      },
    ],
    schedule: 'reads-beside-a-majority',
  },
]
