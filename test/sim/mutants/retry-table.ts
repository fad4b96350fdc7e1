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
        file: `${REPLICATION}/writes.ts`,
        find: "if (known.state === 'applied') {",
        replace: "if (known.state === 'none') {",
      },
    ],
  },
  {
    name: 'windows-not-copied',
    rule: 'Amendment 13',
    wrong: 'A replica that catches up does not learn which operations were applied.',
    edits: [
      {
        file: `${REPLICATION}/stream-messages.ts`,
        find: 'windows: windows.snapshot() }',
        replace: 'windows: windows.snapshot().slice(0, 0) }',
      },
    ],
    schedule: 'retries-after-a-copy',
  },
  {
    name: 'rolled-back-stays-known',
    rule: 'Amendment 13',
    wrong: 'A replica whose block a primary rolls back goes on to answer the retry of its write from its window.',
    edits: [
      {
        file: `${REPLICATION}/extent-state.ts`,
        find: 'if (rolledBackTo === undefined) return undefined',
        replace: 'if (rolledBackTo === undefined || blocks.length > 0) return undefined',
      },
    ],
    schedule: 'rollback-cut-short',
  },
  {
    name: 'merge-forgets-operations',
    rule: 'Amendment 13',
    wrong: 'What suspect stores remember of operations is not merged.',
    edits: [
      {
        file: `${REPLICATION}/merge.ts`,
        find: '[extent.windows, ...this.remembered.values()].flatMap(',
        replace: '[extent.windows].flatMap(',
      },
    ],
    schedule: 'retries-after-a-merge',
  },
]
