import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs that lose or repeat a write only where a copy or a takeover is cut short, or a store lost something and does not know. */
export const LOSS_MUTANTS: readonly Mutant[] = [
  {
    name: 'pushes-not-staged',
    rule: 'Amendment 25',
    wrong:
      'A replica that counts takes in block by block what a primary copies to it, and knows of no operation of it until the MARK.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: 'const staged = this.counts() ? new StagedPushes(this.services.staging) : undefined',
        replace: 'const staged = undefined',
      },
    ],
    schedule: 'retried-after-pushes',
  },
  {
    name: 'cancelled-where-pushed',
    rule: 'Amendment 25',
    wrong: 'The same: an operation whose bytes were pushed is cancelled as one that never took effect.',
    edits: [
      {
        file: `${REPLICATION}/replica.ts`,
        find: 'if (stream.staged?.add(change) === true) {',
        replace: "if (stream.phase !== 'open' && stream.staged?.add(change) === true) {",
      },
    ],
    schedule: 'cancelled-after-pushes',
  },
  {
    name: 'last-committed-may-be-missing',
    rule: 'A2.8-4',
    wrong: 'A primary that lost the very last write that another knows to be committed is not behind.',
    edits: [
      {
        file: `${REPLICATION}/comparison.ts`,
        find: 'return isHigher(version, here) && version.seq <= commitSeq',
        replace: 'return isHigher(version, here) && version.seq < commitSeq',
      },
    ],
    schedule: 'last-committed-is-missing',
  },
  {
    name: 'write-without-attachment',
    rule: 'Amendment 4',
    wrong: 'A write that names no attachment is taken.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: "return generation === 0 ? 'FENCED' : this.primary.refusal(ctx, epoch, generation)",
        replace: 'return this.primary.refusal(ctx, epoch, generation)',
      },
    ],
    schedule: 'write-of-no-attachment',
  },
]
