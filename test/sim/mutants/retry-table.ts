import type { Mutant } from './mutant.ts'

const REPLICATION = 'packages/node/src/core/replication'

/** Bugs of what is remembered of operations, for the day on which they are sent again. */
export const RETRY_MUTANTS: readonly Mutant[] = [
  {
    name: 'retry-applied-again',
    rule: 'Amendment 13',
    wrong: 'A retry of an operation that was applied is applied once more.',
    edits: [
      {
        room: REPLICATION,
        in: 'Writes.answerKnown',
        find: "known.state === 'applied'",
        replace: "known.state === 'none'",
      },
    ],
  },
  {
    name: 'windows-not-copied',
    rule: 'Amendment 13',
    wrong: 'A replica that catches up does not learn which operations were applied.',
    edits: [{ room: REPLICATION, in: 'markOf', find: 'windows.snapshot()', replace: 'windows.snapshot().slice(0, 0)' }],
    schedule: 'retries-after-a-copy',
  },
  {
    name: 'rolled-back-stays-known',
    rule: 'Amendment 13',
    wrong: 'A replica whose block a primary rolls back goes on to answer the retry of its write from its window.',
    edits: [
      {
        room: REPLICATION,
        in: 'ExtentState.rolledBack',
        body: 'return undefined',
      },
    ],
    schedule: 'rollback-cut-short',
  },
  {
    name: 'reconcile-forgets-operations',
    rule: 'Amendment 13',
    wrong: 'What suspect stores remember of operations is not reconciled.',
    edits: [
      {
        room: REPLICATION,
        in: 'Reconciliation.finish',
        find: '[extent.windows, ...this.remembered.values()]',
        replace: '[extent.windows]',
      },
    ],
    schedule: 'retries-after-a-reconciliation',
  },
]
