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
        find: 'const staged = (open.counts ?? this.counts()) ? new StagedPushes(this.services.staging) : undefined',
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
      {
        file: `${REPLICATION}/replica.ts`,
        find: 'if (stream.staged?.isLarge === false) return',
        replace: "if (stream.phase !== 'open') return",
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
    name: 'commits-not-told',
    rule: 'Amendment 26',
    wrong: 'The primary of an extent that falls idle tells nobody that the last write is committed.',
    edits: [
      {
        file: `${REPLICATION}/commit-news.ts`,
        find: 'if (!isIdle || !this.pending) return',
        replace: 'if (!isIdle || this.pending) return',
      },
    ],
    schedule: 'last-write-is-missing',
  },
  {
    name: 'write-without-attachment',
    rule: 'Amendment 4',
    wrong: 'A write that names no attachment is taken.',
    edits: [
      {
        file: `${REPLICATION}/writes.ts`,
        find: "if (generation === 0) return 'FENCED'",
        replace: "if (generation < 0) return 'FENCED'",
      },
    ],
    schedule: 'write-of-no-attachment',
  },
  {
    name: 'shorter-tail-wins',
    rule: 'Amendment 26',
    wrong: 'A new primary puts its own state over that of a member that got further.',
    edits: [
      {
        file: `${REPLICATION}/roll-forward.ts`,
        find: 'if (record === undefined || primary.merge !== undefined || !this.isAhead(opened)) return false',
        replace: 'if (record === undefined || primary.merge !== undefined || opened.lastSeq >= 0) return false',
      },
    ],
    schedule: 'shorter-tail-is-named',
  },
  {
    name: 'started-alone',
    rule: 'Amendment 26',
    wrong: 'A new primary orders START while it is one too few, so that who comes then cannot be ahead of it.',
    edits: [
      {
        file: `${REPLICATION}/in-sync.ts`,
        find: 'return this.primary.enoughInSync() && this.allMarked(record)',
        replace: 'return this.allMarked(record)',
      },
    ],
    schedule: 'shorter-tail-is-alone',
  },
  {
    name: 'rolled-forward-without-operations',
    rule: 'Amendments 13 and 26',
    wrong: 'A new primary takes over what a member has more, and not what it knows of the operations in it.',
    edits: [
      {
        file: `${REPLICATION}/roll-forward.ts`,
        find: 'windows: windows ?? [],',
        replace: 'windows: extent.windows.snapshot(),',
      },
    ],
  },
]
